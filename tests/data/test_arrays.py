"""Arrays in memory and map-style data sets."""

import numpy as np
import pytest
import torch
from PIL import Image

from chainrule.core.errors import DataError, Interrupted
from chainrule.data import untrusted
from chainrule.data.arrays import from_arrays, from_dataset
from tests.data.samples import X, Y


def test_arrays_lists_and_tensors_are_alike():
    for x, y in ((X, Y), (X.tolist(), Y.tolist()), (torch.tensor(X, requires_grad=True), torch.tensor(Y))):
        source = from_arrays(x, y)
        assert source.array.tolist() == X.tolist() and source.targets.tolist() == Y.tolist()
        assert source.array.dtype == np.float64 and source.notes == ()
    half = from_arrays(torch.tensor([[1.5]], dtype=torch.bfloat16), None)
    assert half.array.tolist() == [[1.5]] and half.targets is None


BAD_ARRAYS = {
    "ragged": (
        ([[1, 2], [3]], [0, 1]),
        r"x cannot be read as one array \(row 1, counted from 0, has 1 values, row 0 has 2\)",
    ),
    "mixed": (
        (np.array([[1, "a"]], dtype=object), [0]),
        r"x holds '\\?'?a.*but an array has numbers only.*give mixed columns as a table",
    ),
    "nothing": (([[1, None]], [0]), r"x holds 'None'|x holds None"),
    "a mapping": (({"a": 1}, [0]), r"x holds "),
    "huge integers": (([[10**30]], [0]), r"x holds "),
    "fewer targets": ((X, [1]), r"x has 4 rows, but y has 1"),
    "complex": ((X * 1j, Y), r"x has values of type complex128"),
    "complex targets": ((X, Y * 1j), r"y has values of type complex128; targets are numbers or text"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_array_messages(case):
    (x, y), message = BAD_ARRAYS[case]
    with pytest.raises(DataError, match=message):
        from_arrays(x, y)


def test_sparse_matrices_are_named():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DataError, match=r"x is a sparse matrix; give x.toarray\(\)"):
        from_arrays(scipy_sparse.csr_matrix(X), Y)


class Items:
    def __init__(self, items, **attributes):
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        item = self.items[index]
        if isinstance(item, BaseException):
            raise item
        return item


def test_dataset_of_torch():
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y))
    source = from_dataset(dataset, "mine")
    assert source.array.tolist() == X.tolist() and source.targets.tolist() == Y.tolist()
    assert source.name == "mine" and source.origin == {"kind": "dataset", "name": "mine"}


def test_dataset_of_pictures_with_classes():
    pictures = [(Image.new("RGB", (4, 5), (i, 0, 9)), i) for i in range(2)]
    source = from_dataset(Items(pictures, classes=["cat", "dog"]))
    assert source.array.shape == (2, 3, 5, 4) and source.array[1, :, 0, 0].tolist() == [1, 0, 9]
    assert source.class_names == ("cat", "dog")
    assert from_dataset(Items(pictures, classes=["cat"])).class_names is None


def test_dataset_messages():
    ones = np.ones(3)
    cases = [
        (
            Items([(ones, 0), (np.ones(2), 1)]),
            r"item 1 of 'd' has x of shape \(2,\), but item 0 has \(3,\); all items need one shape",
        ),
        (Items([(ones, 0), (ones, [1, 2])]), r"item 1 of 'd' has y of shape \(2,\)"),
        (Items([ones]), r"item 0 of the data set should be \(x, y\); got ndarray"),
        (Items([(ones, 0), KeyError("gone")]), r"item 1 of the data set cannot be read \('gone'\)"),
        (Items([]), r"the data set 'd' has no items"),
        (iter([]), r"has a length and gives \(x, y\) for an index; got list_iterator"),
        (Items([(ones, 0), (ones, np.datetime64("2020-01-01"))]), r"y differs in type between the items"),
    ]
    for dataset, message in cases:
        with pytest.raises(DataError, match=message):
            from_dataset(dataset, "d")


def test_dataset_too_large_is_noticed_at_the_first_item(monkeypatch):
    monkeypatch.setattr(untrusted, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="more than the limit of 100 B"):
        from_dataset(Items([(np.ones(4), 0), RuntimeError("never asked for"), *[(np.ones(4), 0)] * 9]))


def test_a_stop_is_not_taken_for_a_bad_item():
    with pytest.raises(Interrupted):
        from_dataset(Items([Interrupted("stopped by Ctrl-C")]))
