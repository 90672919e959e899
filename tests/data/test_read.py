"""One door for data: what a user may name or hand over, and what is said where it cannot be read."""

import os

import numpy as np
import pandas as pd
import polars as pl
import pytest

from chainrule.core.errors import DataError
from chainrule.data.read import named_by, read


def test_names_paths_frames_arrays_and_data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    x, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    assert len(read("iris")) == 150
    assert read("t.csv").frame.height == read(tmp_path / "t.csv").frame.height == 1
    assert read(pd.DataFrame({"a": [1]})).frame.height == read(pl.DataFrame({"a": [1]})).frame.height == 1
    assert read({"a": [1, 2], "b": ["x", "y"]}).frame.shape == (2, 2)
    assert read((x, y)).array.shape == (4, 2)
    assert read(_Items(x, y)).array.shape == (4, 2)
    source = read("iris")
    assert read(source) is source


class _Items:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def test_a_file_called_like_a_built_in_set_is_read_from_the_disk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris").write_text("no table")
    with pytest.raises(DataError, match="iris: files of this kind are not read; CSV, TSV, Excel, Parquet"):
        read("iris")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("house.csv", "house.csv does not exist; did you mean houses.csv?"),
        ("iriss", "iriss does not exist; did you mean iris?"),
        ("zzzz", "zzzz does not exist; built-in data: digits, iris"),
        ("no/such/folder.csv", "does not exist"),
        ("x" * 5000, "cannot be read: file name too long"),
        ("a\0b.csv", "a\\x00b.csv"),
        ("\x1b[31m.csv", "\\x1b[31m.csv does not exist"),
    ],
)
def test_a_path_that_is_not_there(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "houses.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError) as caught:
        read(name)
    assert message in str(caught.value)


def test_unknown_endings_are_refused_with_what_is_read(tmp_path):
    (tmp_path / "t.docx").write_bytes(b"PK\x03\x04")
    with pytest.raises(
        DataError,
        match=r"t\.docx: files of this kind are not read; CSV, TSV, Excel, Parquet, JSON, \.npz, IDX",
    ):
        read(tmp_path / "t.docx")


@pytest.mark.parametrize("data", [np.zeros((3, 2)), [[1, 2]], (np.zeros(3),)])
def test_arrays_come_in_pairs(data):
    with pytest.raises(
        DataError, match=r"arrays are given as a pair, inputs and targets: cr\.fit\(\(x, y\)\)"
    ):
        read(data)


@pytest.mark.parametrize("data", [5, None, object()])
def test_what_is_no_data_at_all(data):
    with pytest.raises(DataError, match="is not data that is read; a path, arrays"):
        read(data)


@pytest.mark.skipif(not hasattr(os, "fork") or os.geteuid() != 0, reason="drops root's powers")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    path.chmod(0)
    child = os.fork()
    if not child:
        os.setuid(65534)
        try:
            read(path)
        except DataError as error:
            os._exit(0 if "permission denied" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_path_in_a_recipe_is_no_pattern(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n")
    (tmp_path / "b[1].csv").write_text("x,y\n1,2\n2,3\n")
    assert len(read(tmp_path / "*.csv")) == 4
    assert len(read(named_by({"kind": "file", "path": str(tmp_path / "b[1].csv")}))) == 2
    for origin in (
        {"path": str(tmp_path / "*.csv")},
        {"paths": [str(tmp_path / "*.csv"), str(tmp_path / "a.csv")]},
    ):
        with pytest.raises(DataError, match="no file fits"):
            read(named_by({"kind": "file", **origin}))
