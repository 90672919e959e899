import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.data.arrays import from_arrays
from chainrule.data.prepare import Prepare
from chainrule.data.prepared import PreparedRows, prepared_rows
from chainrule.data.schema import Examples, find_schema
from chainrule.data.source import Source
from chainrule.data.store import Store, StoredRows


def table():
    import polars as pl

    random = np.random.default_rng(0)
    numbers = random.normal(size=(60, 2))
    numbers[::7, 0] = np.nan
    columns = {"a": numbers[:, 0], "b": numbers[:, 1], "kind": random.choice(["x", "y", "z"], 60)}
    frame = pl.DataFrame({**columns, "target": random.normal(size=60)}, nan_to_null=True)
    return Source(name="table", origin={"kind": "memory"}, frame=frame)


def pictures():
    random = np.random.default_rng(0)
    return from_arrays(random.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8), np.arange(60) % 2)


def on_disk(examples, folder):
    store, kept = Store(folder=folder, most_bytes=1), []
    for array in (examples.numbers, examples.codes):
        rows = store.rows(array.shape, array.dtype)
        rows.write(0, array)
        kept.append(rows)
    return Examples(numbers=kept[0], codes=kept[1], targets=examples.targets, rows=examples.rows)


@pytest.mark.parametrize("source", [table(), pictures()])
def test_rows_from_disk_have_the_bits_of_all_rows_prepared_at_once(tmp_path, source):
    schema = find_schema(source)[0]
    examples = schema.encode(source)
    kept = on_disk(examples, tmp_path)
    train = np.arange(0, 60, 2)
    prepare = Prepare(schema).fit(examples, train)
    whole = prepare.tensors(examples)
    rows = PreparedRows(Prepare(schema).fit(kept, train), kept)
    chosen = torch.tensor([5, 0, 59, 5])
    assert rows.shape == tuple(whole.shape) and len(rows) == 60 and rows.device == whole.device
    assert torch.equal(rows.index_select(0, chosen), whole[chosen]) and torch.equal(
        rows[chosen], whole[chosen]
    )
    assert torch.equal(rows[3:9], whole[3:9]) and torch.equal(rows[-1], whole[-1])
    assert torch.equal(rows.to(torch.device("cpu"))[:], whole)


def test_rows_are_prepared_at_once_where_they_fit():
    source = pictures()
    schema = find_schema(source)[0]
    examples = schema.encode(source)
    prepare = Prepare(schema).fit(examples, np.arange(60))
    needed = 4 * 60 * 3 * 8 * 8
    assert isinstance(prepared_rows(prepare, examples, needed), torch.Tensor)
    assert isinstance(prepared_rows(prepare, examples, needed - 1), PreparedRows)


@pytest.mark.curriculum("DAT-21")
def test_stochastic_gradient_descent_learns_from_a_stream_of_single_rows(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 5))
    source = from_arrays(x, (x[:, 0] > x[:, 1]).astype(int))
    schema = find_schema(source)[0]
    kept = on_disk(schema.encode(source), tmp_path)
    rows = PreparedRows(Prepare(schema).fit(kept, np.arange(400)), kept)
    counts, read = [], StoredRows._read
    monkeypatch.setattr(StoredRows, "_read", lambda self, n: counts.append(len(n)) or read(self, n))
    stream = cr.Batches(rows, torch.as_tensor(kept.targets), 1)
    model = cr.build("logistic-regression", inputs=5, units=1)
    objective = cr.Objective(model, cr.Binary(["no", "yes"]))
    step = cr.AutogradStep(objective, cr.optimizer("sgd", model.parameters(), learning_rate=0.1))
    losses = [report.loss.item() for report in cr.updates(step, stream, cr.schedule("constant", steps=400))]
    assert set(counts) == {1}  # never more than one row in memory
    assert np.mean(losses[-100:]) < 0.6 * np.mean(losses[:50])
