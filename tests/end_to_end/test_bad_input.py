"""What the command line says to wrong input: one message that names the place, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chainrule.apps import cli

FAST = ("--epochs", "2", "--set", "hidden=4")
MARKUP = ("[red]", "[/]", "<script>alert(1)</script>", "\x1b[31mred\x1b[0m", "two\nlines", "&amp; {x}")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    error: str


@pytest.fixture
def chainrule(monkeypatch, capsys):
    """Run the command line in this process, as `python -m chainrule` does."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["chainrule", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = cli.run()
        shown = capsys.readouterr()
        return Ended(code, shown.out, shown.err)

    return run


@pytest.fixture
def refused(chainrule, tmp_path):
    """Run a command that must be refused, and return what it said; the folder must look as before."""

    def run(*arguments: object) -> str:
        before = tree(tmp_path)
        ended = chainrule(*arguments)
        assert ended.code == 2, ended
        assert "Traceback" not in ended.error + ended.out
        assert ended.error.startswith(("chainrule: ", "Usage: ")), ended.error
        assert tree(tmp_path) - before <= {"runs"}  # the folder for runs may be made before the data is read
        return ended.error

    return run


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def houses(rows: int = 60) -> list[dict[str, str]]:
    random = np.random.default_rng(0)
    return [
        {
            "size": f"{random.normal():.3f}",
            "colour": ("red", "blue")[i % 2],
            "is new": ("yes", "no")[i % 3 == 0],
            "sold": f"2024-01-{i % 28 + 1:02d}",
            "price": f"{random.normal():.3f}",
        }
        for i in range(rows)
    ]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    pl.DataFrame(rows).write_csv(path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on a small table."""
    from chainrule.jobs.fit import fit

    folder = tmp_path_factory.mktemp("trained")
    data = write(folder / "houses.csv", houses())
    return fit(
        data,
        target="price",
        epochs=2,
        model_settings={"hidden": (4,)},
        runs=folder / "runs",
        name="r",
        quiet=True,
    ).path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---- files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "t.csv is empty; a table needs a header line and rows below it"),
        (b"\n\n", "t.csv is empty"),
        (b"a,b\n", "t.csv has a header ('a', 'b') but no rows below it"),
        (b"a,a,b\n1,2,3\n", "t.csv: the header has 'a' more than once; every column needs a name of its own"),
        (b"a,,b\n1,2,3\n", "t.csv: column 2 of 3 has no name in the header"),
        (b"a,b\n1,2\n3,4,5\n", "t.csv, line 3: 3 cells, but the header has 2"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "t.csv, line 3: a quotation mark opens here and is never closed"),
        (b"a,b\n1,\x00\n", "t.csv holds binary data, not text (a null byte in line 2)"),
        (bytes(range(256)), "t.csv holds binary data"),
        (b"PK\x03\x04", "t.csv is a ZIP archive, perhaps an Excel workbook; a text table is needed"),
        (b"a,y\n1,2\n2,inf\n3,4\n", "t.csv, row 2: the target 'y' is infinite"),
        (b"a,y\n1,2\n-inf,3.5\n3,4\n", "t.csv, row 2: column 'a' is infinite; leave the cell empty"),
        (b"a,y\n1,\n2,NA\n", "t.csv: the target 'y' is missing in every row"),
        (b"a,y\n1,u\n2,u\n3,u\n", "t.csv: the target 'y' has one class ('u'); two are needed to tell apart"),
        (b"a,y\n1,u\n2,u\n3,v\n4,v\n5,w\n", "the class 'w' has one row, which cannot both train and test"),
        (b"y\n1.5\n2.5\n", "t.csv has no column to learn from beside the target 'y'"),
        (b"a,y\n5,1.5\n5,2.5\n", "beside the target 'y' (left out: 'a')"),
        (b"a,y\n1,1.5\n2,2.5\n", "t.csv has 2 rows with a target, too few to learn from and to judge by"),
    ],
)
def test_tables_that_cannot_be_learned_from(refused, tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    assert message in refused("fit", "t.csv")


def test_files_that_are_not_there_or_of_another_kind(refused, tmp_path):
    write(tmp_path / "houses.csv", houses(5))
    assert "house.csv does not exist; did you mean houses.csv?" in refused("fit", "house.csv")
    assert "iriss does not exist; did you mean iris?" in refused("fit", "iriss")
    (tmp_path / "t.docx").write_bytes(b"PK")
    assert "t.docx: files of this kind are not read; CSV, TSV, Excel, Parquet, JSON" in refused(
        "fit", "t.docx"
    )


def test_encodings_that_do_not_fit(refused, tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n3,\xe9\n")
    assert "t.csv, line 3 is not ascii text (byte 0xe9)" in refused("fit", "t.csv", "--encoding", "ascii")
    assert "got 'cp125'; did you mean cp125" in refused("fit", "t.csv", "--encoding", "cp125")
    (tmp_path / "t.parquet").write_bytes(b"PAR1junk")
    assert "t.parquet cannot be read as Parquet" in refused("fit", "t.parquet")
    assert "no data: name a built-in data set, a file or a folder" in refused("fit")
    assert "file name too long" in refused("fit", "x" * 5000)


def test_a_file_name_is_shown_as_text(refused, tmp_path):
    (tmp_path / "[red]\x1b[31m.csv").write_text("a,b\n")
    assert "chainrule: [red]\\x1b[31m.csv has a header" in refused("fit", "[red]\x1b[31m.csv")


# ---- columns


def test_targets_that_are_not_there(refused, tmp_path):
    write(tmp_path / "houses.csv", houses())
    said = refused("fit", "houses.csv", "--target", "prize")
    assert "houses.csv has no column 'prize' to predict; did you mean 'price'" in said
    assert "no column 'zzz' to predict; it has 'size'" in refused(
        "fit", "houses.csv", "--target", "price,zzz"
    )
    assert "classification takes one target column; got 'price', 'size'" in refused(
        "fit", "houses.csv", "--target", "price,size", "--task", "classification"
    )
    assert "--task takes regression or classification; got 'ranking'" in refused(
        "fit", "houses.csv", "--task", "ranking"
    )
    assert "the target 'colour' must be a number; got 'red'" in refused(
        "fit", "houses.csv", "--target", "colour", "--task", "regression"
    )


def predict(chainrule, trained, path, *more) -> Ended:
    return chainrule("predict", trained, path, *more)


def test_text_among_numbers_at_prediction(refused, tmp_path, trained):
    rows = houses(5)
    rows[2]["size"] = "lots"
    said = refused("predict", trained, write(tmp_path / "new.csv", rows))
    assert "new.csv, row 3: column 'size' held numbers in training; got 'lots'" in said
    rows[2]["size"], rows[3]["sold"] = "1", "soon"
    said = refused("predict", trained, write(tmp_path / "new.csv", rows), "--output", "out.csv")
    assert "new.csv, row 4: column 'sold' held dates in training; got 'soon'" in said
    rows[3]["sold"], rows[4]["is new"] = "2024-02-01", "perhaps"
    said = refused("predict", trained, write(tmp_path / "new.csv", rows))
    assert "new.csv, row 5: column 'is new' held booleans in training; got 'perhaps'" in said


def test_columns_missing_at_prediction(refused, tmp_path, trained):
    rows = [{k.replace("colour", "color"): v for k, v in row.items()} for row in houses(5)]
    said = refused("predict", trained, write(tmp_path / "new.csv", rows))
    assert "new.csv has no column 'colour', which the network was trained on; did you mean 'color'?" in said


def values_of(ended: Ended) -> list[float]:
    assert ended.code == 0, ended
    lines = ended.out.splitlines()
    return [float(line) for line in lines[lines.index("price") + 1 :]]


def test_columns_moved_added_or_without_the_target_predict_the_same(chainrule, tmp_path, trained):
    rows = houses(5)
    plain = values_of(predict(chainrule, trained, write(tmp_path / "plain.csv", rows)))
    assert len(plain) == 5
    moved = [dict(reversed(row.items())) for row in rows]
    added = [{"extra": "x", **row, "more": "1"} for row in rows]
    bare = [{k: v for k, v in row.items() if k != "price"} for row in rows]
    ones = [{**row, "is new": {"yes": "1", "no": "0"}[row["is new"]]} for row in rows]
    for name, table in (("moved", moved), ("added", added), ("bare", bare), ("ones", ones)):
        ended = predict(chainrule, trained, write(tmp_path / f"{name}.csv", table))
        assert values_of(ended) == plain, name


def test_parquet_types_predict_what_text_predicts(chainrule, tmp_path, trained):
    rows = houses(5)
    plain = values_of(predict(chainrule, trained, write(tmp_path / "plain.csv", rows)))
    typed = pl.DataFrame(rows).with_columns(
        pl.col("size").cast(pl.Float64),
        pl.col("colour").cast(pl.Categorical),
        pl.col("is new") == "yes",
        pl.col("sold").str.to_date(),
    )
    typed.write_parquet(tmp_path / "typed.parquet")
    assert values_of(predict(chainrule, trained, tmp_path / "typed.parquet")) == plain


def test_unseen_categories_and_missing_cells_predict(chainrule, tmp_path, trained):
    rows = houses(5)
    rows[0]["colour"], rows[1]["colour"], rows[2]["size"], rows[3]["sold"] = "green", "", "", "NA"
    values = values_of(predict(chainrule, trained, write(tmp_path / "new.csv", rows)))
    assert len(values) == 5 and np.isfinite(values).all()


def test_one_row_at_a_time_predicts_what_all_rows_predict(trained, tmp_path):
    from chainrule.jobs.run import load

    run, rows = load(trained), pl.DataFrame(houses(8))
    rows = rows.with_columns(size=pl.when(pl.int_range(8) == 3).then(None).otherwise("size"))
    whole = run.predict(rows).values
    for i in range(8):
        np.testing.assert_allclose(run.predict(rows[i : i + 1]).values[0], whole[i], rtol=1e-5)


def test_evaluation_needs_the_target_and_its_classes(refused, tmp_path, trained, chainrule):
    bare = [{k: v for k, v in row.items() if k != "price"} for row in houses(5)]
    said = refused("evaluate", trained, write(tmp_path / "bare.csv", bare))
    assert "bare.csv has no column 'price', the target; it has 'size', 'colour'" in said
    nothing = [{**row, "price": ""} for row in houses(5)]
    assert "has no rows with a target" in refused("evaluate", trained, write(tmp_path / "none.csv", nothing))


def test_outputs_that_cannot_be_written(refused, tmp_path, trained):
    rows = write(tmp_path / "new.csv", houses(5))
    assert "--output takes a file ending in .csv, .tsv, .parquet, .json; got out.xls" in refused(
        "predict", trained, rows, "--output", "out.xls"
    )
    said = refused("predict", trained, rows, "--output", "no/folder/out.csv")
    assert "no/folder/out.csv could not be written: there is no folder no/folder; make it first" in said


# ---- names and settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "lennet"), "no model is called 'lennet'; did you mean 'lenet'"),
        (("--model", "no_such_module:Net"), "the model 'no_such_module:Net' cannot be imported"),
        (("--model", "a b:c"), "a model of your own is written package.module:Name; got 'a b:c'"),
        (("--optimizer", "adm"), "no optimizer is called 'adm'; did you mean 'adam'"),
        (("--schedule", "cosin"), "no schedule is called 'cosin'; did you mean 'cosine'"),
        (("--set", "loss=squared-eror"), "did you mean 'squared-error'"),
        (("--set", "hiden=4"), "no setting is called 'hiden'; did you mean 'hidden'"),
        (("--set", "hidden"), "--set takes KEY=VALUE; got 'hidden'"),
        (("--set", "=4"), "--set takes KEY=VALUE; got '=4'"),
        (("--set", "hidden=wide"), "got 'wide'"),
        (("--set", "hidden=0"), "hidden"),
        (("--set", "hidden=-4"), "hidden"),
        (("--set", "activation=rellu"), "no activation is called 'rellu'; did you mean 'relu'"),
        (("--set", "epochs=2.5"), "epochs takes a whole number; got '2.5'"),
        (("--learning-rate", "-1"), "--learning-rate must be above 0; got -1"),
        (("--learning-rate", "0"), "--learning-rate must be above 0; got 0"),
        (("--learning-rate", "nan"), "--learning-rate takes a number; got nan"),
        (("--learning-rate", "inf"), "--learning-rate takes a number; got inf"),
        (("--learning-rate", "fast"), "--learning-rate takes a number; got 'fast'"),
        (("--epochs", "0"), "--epochs must be at least 1; got 0"),
        (("--epochs", "many"), "--epochs takes a whole number; got 'many'"),
        (("--epochs", "1.5"), "--epochs takes a whole number; got '1.5'"),
        (("--batch-size", "-1"), "--batch-size must be at least 1; got -1"),
        (("--weight-decay", "-0.1"), "--weight-decay must be at least 0; got -0.1"),
        (("--dropout", "1"), "--dropout must be below 1; got 1"),
        (("--dropout", "nan"), "--dropout takes a number; got nan"),
        (("--patience", "0"), "--patience must be at least 1; got 0"),
        (("--seed", "-1"), "--seed must be at least 0; got -1"),
        (("--validation", "1"), "--validation must be below 1; got 1"),
        (("--validation", "-0.1"), "--validation must be at least 0; got -0.1"),
        (("--test", "nan"), "--test takes a number; got nan"),
        (
            ("--test", "0.6", "--validation", "0.4"),
            "--test 0.6 and --validation 0.4 leave no rows to train on",
        ),
        (("--device", "tpu"), "--device takes auto, cpu, cuda, mps; got 'tpu'"),
        (
            ("--plan", "fast"),
            "--plan takes auto, a run whose plan is wanted, or some of plain, native, dense, bfloat16, channels-last, "
            "winograd, compiled",
        ),
        (("--plan", "plain,dense"), "--plan plain stands alone; got 'plain,dense'"),
        (
            ("--plan", "dense,channels-last"),
            "--plan dense goes with bfloat16 only; got 'dense,channels-last'",
        ),
        (
            ("--plan", "winograd"),
            "--plan winograd does not apply: no layer has 3 × 3 or 5 × 5 filters between channels in multiples of 16; "
            "--plan plain runs any network",
        ),
        (("--plan", "winograd,compiled"), "--plan winograd goes with bfloat16 only; got 'winograd,compiled'"),
        (("--metric", "auk"), "no metric is called 'auk'; did you mean 'auc'"),
        (("--metric", "auc"), "the metric auc is not for regression; those that are: r2, mae, rmse"),
        (("--class-weight", "balanced"), "--class-weight is for classes; this target holds values"),
        (("--set", "class_weight=rare"), "--class-weight takes balanced; got 'rare'"),
        (("--by", "sizze"), "no column of houses.csv is called 'sizze'; did you mean 'size'"),
        (("--no-such-flag",), "No such option"),
    ],
)
def test_names_and_values_of_settings(refused, tmp_path, arguments, message):
    write(tmp_path / "houses.csv", houses())
    assert message in refused("fit", "houses.csv", *arguments)
    assert not (tmp_path / "runs").exists() or not tree(tmp_path / "runs")


def test_unknown_commands_and_names_elsewhere(refused):
    assert "No such command" in refused("fitt")
    assert "no model is called 'mlpp'; did you mean 'mlp'" in refused("models", "mlpp")
    assert "no dataset is called 'digit'; did you mean 'digits'" in refused("datasets", "digit")


# ---- runs


def test_runs_that_are_none(refused, tmp_path, trained):
    write(tmp_path / "houses.csv", houses())
    (tmp_path / "empty").mkdir()
    for command in (("fit", "--resume"), ("evaluate",), ("verify",)):
        assert "there is no run at nothing" in refused(*command, "nothing")
        assert "there is no run at houses.csv" in refused(*command, "houses.csv")
        assert "empty is not a run: it holds no recipe.json" in refused(*command, "empty")
    near = refused("evaluate", "rr", "--runs", trained.parent)
    assert f"there is no run at rr; did you mean {trained}?" in near


def test_nothing_stands_beside_resume(refused, trained):
    said = refused("fit", "houses.csv", "--resume", trained, "--epochs", "5", "--set", "hidden=4")
    assert (
        "--resume takes everything from the run's recipe; leave out DATA (houses.csv), --epochs, --set"
        in said
    )


@pytest.mark.parametrize("name", ["a/b", "../up", "", ".", "..", "/abs", "-x", "a\nb", "\x1b[31m"])
def test_names_that_are_no_folder(refused, tmp_path, name):
    write(tmp_path / "houses.csv", houses())
    assert "--name must be a plain folder name; got" in refused("fit", "houses.csv", f"--name={name}", *FAST)


def test_a_name_that_is_taken(refused, tmp_path, trained):
    write(tmp_path / "houses.csv", houses())
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    said = refused("fit", "houses.csv", "--runs", trained.parent, "--name", "r", *FAST)
    assert (
        f"the run {trained} exists already; choose another --name, or continue it with --resume {trained}"
        in said
    )
    assert before == {path: path.stat().st_mtime_ns for path in trained.rglob("*")}


def test_a_runs_folder_that_is_a_file(refused, tmp_path):
    write(tmp_path / "houses.csv", houses())
    (tmp_path / "file").write_text("kept")
    said = refused("fit", "houses.csv", "--runs", "file", *FAST)
    assert "file should be a folder, but a file of that name stands there" in said
    assert refused("fit", "houses.csv", "--runs", "file/below", *FAST)
    assert (tmp_path / "file").read_text() == "kept"


WITHOUT_POWERS = """
import os, sys
from chainrule.apps import cli
sys.argv = ["chainrule", "fit", "houses.csv", "--epochs", "1", "--quiet", "--runs", "first"]
assert cli.run() == 0  # loads every module: an ordinary user may not be able to read this installation
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for arguments in COMMANDS:
    sys.argv = ["chainrule", *arguments]
    code = cli.run()
    sys.stderr.write(f"ended with {code}\\n")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_a_runs_folder_that_may_not_be_written(tmp_path):
    write(tmp_path / "houses.csv", houses())
    (tmp_path / "runs").mkdir(mode=0o555)
    (tmp_path / "first").mkdir()
    for folder in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    commands = [["fit", "houses.csv", *FAST], ["fit", "houses.csv", *FAST, "--runs", "elsewhere"]]
    if os.geteuid():
        tmp_path.chmod(0o555)
    program = f"COMMANDS = {commands!r}\n{WITHOUT_POWERS}"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    tmp_path.chmod(0o755)
    first, second = ended.stderr.split("ended with 2\n")[:2]
    assert re.search(r"^chainrule: .*runs.* \(permission denied\)", first, re.M), ended
    assert "cannot be written (permission denied); choose another with --runs" in second
    assert "Traceback" not in ended.stderr and not list((tmp_path / "runs").iterdir())


# ---- what is shown as text


def test_names_and_classes_that_are_markup_pass_as_text(chainrule, tmp_path):
    random = np.random.default_rng(0)
    classes = [MARKUP[i % 3] for i in range(60)]
    columns = {name: random.normal(size=60) for name in MARKUP}
    texts = {"<b>category": [MARKUP[i % len(MARKUP)] for i in range(60)]}
    pl.DataFrame({**columns, **texts, "[bold]class": classes}).write_csv(tmp_path / "markup.csv")
    ended = chainrule("fit", "markup.csv", *FAST, "--name", "m", "--target", "[bold]class")
    assert ended.code == 0, ended
    assert "\x1b" not in ended.out + ended.error
    assert "'[red]'" in ended.out and "'[/]'" in ended.out and "<script>alert(1)</script>" in ended.out
    report = (tmp_path / "runs" / "m" / "report.html").read_text("utf-8")
    assert "<script>alert" not in report and "&lt;script&gt;alert(1)&lt;/script&gt;" in report
    assert "\x1b" not in report and "<b>category" not in report
    recipe = json.loads((tmp_path / "runs" / "m" / "recipe.json").read_text("utf-8"))
    assert [c["name"] for c in recipe["schema"]["columns"]] == [*MARKUP, "<b>category"]
    assert recipe["schema"]["target"]["classes"] == sorted(MARKUP[:3])
    predicted = chainrule("predict", "m", "markup.csv", "--output", "out.json")
    assert predicted.code == 0, predicted
    assert {row["label"] for row in json.loads((tmp_path / "out.json").read_text())} <= set(MARKUP)


def test_with_json_every_line_is_an_object_also_for_markup_and_errors(chainrule, tmp_path):
    rows = [{MARKUP[3]: str(i), "x": str(i % 7), "y": MARKUP[i % 2 + 2]} for i in range(40)]
    write(tmp_path / "markup.csv", rows)
    ended = chainrule("fit", "markup.csv", "--json", *FAST)
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 0 and events[-1]["event"] == "done" and "\x1b" not in ended.out
    ended = chainrule("fit", "markup.csv", "--json", "--target", "z\x1b[31m")
    last = json.loads(ended.out.splitlines()[-1])
    assert last["event"] == "error" and last["exit_code"] == ended.code == 2 and "\\x1b" in last["message"]


# ---- what is said aloud, but no reason to stop


def test_what_was_decided_about_a_table_is_said(chainrule, tmp_path):
    lines = ["id;size;note;key;y"]
    lines += [f"{i % 7};{i / 10};{'unknown' if i == 5 else i};k{i};{i % 2}" for i in range(40)]
    lines[9] = "3;1.5"
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n\n")
    ended = chainrule("fit", "t.csv", *FAST)
    assert ended.code == 0, ended
    said = " ".join(ended.out.split())
    for sentence in (
        "t.csv: cells are separated by ';', not by ','",
        "t.csv: 1 line has fewer cells than the header (line 10); what lacks counts as missing",
        "column 'note' holds numbers, but 1 cell is none ('unknown'): it counts as missing",
        "column 'key' has another text in nearly every row (a code, 'k0') and is left out; --column key=category keeps it",
        "target: column 'y' (by its name; --target names another)",
        "(--task regression takes the numbers as values)",
        "1 row has no target and is left out",
    ):
        assert sentence in said, sentence


def test_quiet_says_nothing_and_still_predicts(chainrule, tmp_path):
    write(tmp_path / "houses.csv", houses())
    assert chainrule("fit", "houses.csv", *FAST, "--name", "a", "--quiet") == Ended(0, "", "")
    told = chainrule("predict", "runs/a", "houses.csv", "--output", "p.csv")
    assert told.out == f"{len(houses())} predictions in p.csv\n"
    assert chainrule("predict", "runs/a", "houses.csv", "--output", "q.csv", "-q") == Ended(0, "", "")
    assert (tmp_path / "q.csv").read_text() == (tmp_path / "p.csv").read_text()
    assert chainrule("predict", "runs/a", "houses.csv", "-q").out == (tmp_path / "p.csv").read_text()


def test_a_run_without_its_figures_is_listed_as_trained(chainrule, tmp_path):
    write(tmp_path / "houses.csv", houses())
    for name, epochs in (("a", 1), ("b", 2)):
        assert chainrule("fit", "houses.csv", "--epochs", epochs, "--name", name, "--quiet").code == 0
    compared = chainrule("runs", "--compare", "a", "--compare", "b", "--json").out
    assert json.loads(compared)["metrics"]["epochs made"] == [1, 2]
    (tmp_path / "runs" / "a" / "metrics.json").unlink()
    rows = [json.loads(line) for line in chainrule("runs", "--json").out.splitlines()]
    assert {row["event"] for row in rows} == {"run"}
    assert {row["run"]: row["state"] for row in rows} == {
        "a": "trained, not yet measured: --resume does it", "b": "finished",
    }  # fmt: skip
    assert chainrule("runs", "--compare", "a", "--compare", "b").code == 0
    shown = chainrule("fit", "--resume", "runs/a").out
    assert "1 epoch in" in shown and "test: r2" in shown


def test_a_run_that_cannot_be_read_has_its_reason_below_the_table(chainrule, tmp_path):
    write(tmp_path / "houses.csv", houses())
    assert chainrule("fit", "houses.csv", *FAST, "--name", "a", "--quiet").code == 0
    for name, content in (("cut", "{"), ("later", '{"format": 99}')):
        (tmp_path / "runs" / name).mkdir()
        (tmp_path / "runs" / name / "recipe.json").write_text(content)
    rows = {row["run"]: row for row in map(json.loads, chainrule("runs", "--json").out.splitlines())}
    assert {name: row["state"] for name, row in rows.items()} == {
        "a": "finished", "cut": "damaged", "later": "another version",
    }  # fmt: skip
    assert rows["a"]["problem"] is None and "recipe.json is damaged: " in rows["cut"]["problem"]
    lines = chainrule("runs").out.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "a", "cut", "later", "cut:", "later:"]
    assert max(map(len, lines[:4])) < 80
    assert lines[-1].startswith(
        "later: runs/later/recipe.json has format 99; this version of chainrule reads"
    )


def test_a_file_is_no_built_in_data_set(chainrule, refused, tmp_path):
    write(tmp_path / "houses.csv", houses())
    assert "--draw draws it" in refused("datasets", "houses.csv")


def test_without_validation_rows_no_column_is_empty(chainrule, tmp_path):
    write(tmp_path / "houses.csv", houses())
    assert "loss  validation" in chainrule("fit", "houses.csv", *FAST).out
    shown = chainrule("fit", "houses.csv", *FAST, "--validation", "0").out
    assert " epoch       loss\n" in shown


def test_resuming_on_a_changed_file_is_refused(chainrule, refused, tmp_path):
    data = write(tmp_path / "houses.csv", houses())
    assert chainrule("fit", "houses.csv", *FAST, "--name", "a").code == 0
    rows = houses()
    rows[7]["size"] = "9.999"
    write(data, rows)
    for command in (("fit", "--resume", "runs/a"), ("verify", "a"), ("evaluate", "a")):
        assert "the data houses.csv has changed since the run was started" in refused(*command)
    data.unlink()
    assert "houses.csv does not exist" in refused("evaluate", "a")


@pytest.mark.slow
def test_a_real_process_ends_the_same_way(tmp_path, trained):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,4,5\n")
    command = [sys.executable, "-m", "chainrule", "fit", "t.csv"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (
        2,
        "chainrule: t.csv, line 3: 3 cells, but the header has 2\n",
    )
    assert ended.stdout.splitlines() == ["reading t.csv"]
    command = [sys.executable, "-m", "chainrule", "fit", "t.csv", "--epochs", "-1"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout) == (2, "") and "--epochs must be at least 1" in ended.stderr


FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_classes_that_look_alike_from_the_question_to_the_answer(chainrule, refused, tmp_path):
    data = FIXTURES / "survey_answers.csv"
    said = refused("fit", data)
    assert "the classes ' yes', 'YES', 'yes ' have one row each" in said
    assert "' yes' looks like 'Yes', and --merge-classes merges such classes" in said
    ended = chainrule("fit", data, *FAST, "--test", 0, "--validation", 0)
    assert ended.code == 0, ended
    assert (
        "warning: classes 'Yes' (27 rows) and ' yes' (1 row) and 'YES' (1 row) and 'yes ' (1 row) look like one: "
        "--merge-classes merges them, --no-merge-classes keeps them apart"
    ) in " ".join(ended.out.split())
    ended = chainrule("fit", data, *FAST, "--merge-classes", "--name", "merged")
    assert ended.code == 0 and "look like one" not in ended.out
    (tmp_path / "new.csv").write_text("age,income,answer\n40,50000,YES\n41,51000,No\n42,52000, yes\n")
    assert chainrule("evaluate", "merged", "new.csv").code == 0


def test_a_table_with_signs_from_training_to_prediction(chainrule, refused, tmp_path):
    data = FIXTURES / "houses_american.csv"
    ended = chainrule("fit", data, *FAST, "--column", "Agent ID=category", "--name", "houses")
    assert ended.code == 0, ended
    said = " ".join(ended.out.split())
    assert "column 'Id' counts the rows (1, 2, 3, …) and is left out; --column Id=number keeps it" in said
    assert (
        "the target 'Price' is written like '$143,366' and read as 143366" in said
        and "'Agent ID' has" not in said
    )
    assert chainrule("verify", "houses").code == 0
    assert chainrule("predict", "houses", data).out.count("\n") == 41
    (tmp_path / "new.csv").write_text(data.read_text().replace("1.04%", "1.04 €"))
    assert "row 2: column 'Tax' held numbers written like '1234.5 %' in training; got '1.04 €'" in refused(
        "predict", "houses", "new.csv"
    )
    assert "no column of houses_american.csv is called 'Agent'; did you mean 'Agent ID' or" in refused(
        "fit", data, "--column", "Agent=number"
    )
    assert "--decimal takes . or ,; got ';'" in refused("fit", data, "--decimal", ";")
