"""Several files as one table, and training, validation and test data that are given apart."""

import numpy as np
import polars as pl
import pytest

from chainrule.core.errors import DataError
from chainrule.data.read import named_by, read
from chainrule.data.reading import Divided, Reading
from chainrule.data.source import TEST, TRAIN, VALIDATION
from tests.data.samples import X, Y, pets, save


@pytest.fixture
def months(tmp_path, monkeypatch):
    """Three files of one table; the second has its columns in another order."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "may.csv").write_text("day,sold\n1,10\n2,20\n")
    (tmp_path / "june.csv").write_text("sold,day\n30,1\n")
    (tmp_path / "july.csv").write_text("day,sold\n1,40\n2,50\n")
    return tmp_path


def refusal(data) -> str:
    with pytest.raises(DataError) as caught:
        read(data)
    return str(caught.value)


def test_files_are_matched_by_column_names_and_rows_keep_their_place(months):
    source = read(["may.csv", "june.csv"])
    assert source.frame.rows() == [("1", "10"), ("2", "20"), ("1", "30")]
    assert [source.at(row) for row in range(3)] == ["may.csv, row 1", "may.csv, row 2", "june.csv, row 1"]
    assert source.name == "may.csv and 1 more file"
    assert source.notes == ("rows of 2 files: may.csv 2, june.csv 1",)


@pytest.mark.parametrize("title", ["*", "^a$"])
def test_columns_are_called_as_people_like(tmp_path, monkeypatch, title):
    monkeypatch.chdir(tmp_path)
    pl.DataFrame({title: [1, 2]}).write_parquet("whole.parquet")
    pl.DataFrame({title: [0.5]}).write_parquet("parts.parquet")
    source = read(["whole.parquet", "parts.parquet"])
    assert source.frame.rows() == [(1.0,), (2.0,), (0.5,)]


def test_a_pattern_stands_for_its_files_in_sorted_order(months):
    source = read("ju*.csv")
    assert [name for name, _ in source.pieces] == ["july.csv", "june.csv"]
    assert read(str(months / "[m]ay.csv")).frame.height == 2
    assert len(read(["may.csv", "ju*.csv"])) == 5


def test_a_pattern_that_fits_nothing_names_what_is_there(months):
    assert refusal("mai*.csv") == "no file fits mai*.csv; . has 'may.csv', 'june.csv', 'july.csv'"
    (months / "folder.d").mkdir()
    assert refusal("*.d") == "*.d fits folders only ('folder.d'); name one folder"


def test_a_file_called_like_a_pattern_is_that_file(months):
    (months / "j*.csv").write_text("a,b\n1,2\n")
    assert read("j*.csv").frame.columns == ["a", "b"]


def test_columns_that_lack_or_are_added_are_named(months):
    (months / "other.csv").write_text("day,sell\n1,10\n")
    (months / "wide.csv").write_text("day,sold,hour\n1,10,3\n")
    assert refusal(["may.csv", "other.csv"]) == (
        "other.csv lacks the column 'sold' of may.csv; did 'sell' mean 'sold'?"
    )
    assert refusal(["may.csv", "wide.csv"]) == (
        "wide.csv has the column 'hour', which may.csv has not; files that are read together have the same columns"
    )


def test_files_called_alike_are_told_apart_by_their_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for year in ("2024", "2025"):
        (tmp_path / year).mkdir()
        (tmp_path / year / "t.csv").write_text(f"a,b\n1,{year}\n")
    assert read("*/t.csv").at(1) == "2025/t.csv, row 1"


def test_one_file_twice_is_refused(months):
    assert refusal(["may.csv", "./may.csv"]) == "may.csv is named twice; its rows would count twice"


def test_text_and_numbers_do_not_mix(months):
    pl.DataFrame({"day": [1], "sold": [2]}).write_parquet(months / "n.parquet")
    assert "n.parquet: column 'day' holds Int64, but String in may.csv" in refusal(["may.csv", "n.parquet"])


def test_what_several_files_have_in_common_is_said_once(months):
    for name in ("a", "b"):
        (months / f"{name}.csv").write_text(f"day;sold\n1;{ord(name)}\n")
    source = read(["a.csv", "b.csv"])
    assert source.notes[1:] == ("a.csv: cells are separated by ';', not by ',' (so in 2 files)",)


def test_folders_of_pictures_are_no_tables(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    assert "holds pictures" in refusal([tmp_path / "a.csv", pets(tmp_path / "pets")])


def test_parts_that_are_given_apart(months):
    source = read(Divided(train=["may.csv", "june.csv"], test="july.csv"))
    assert source.fixed_split.tolist() == [TRAIN] * 3 + [TEST] * 2
    assert source.at(4) == "july.csv, row 2"
    assert source.name == "may.csv and 1 more file"
    both = read(Divided(train="may.csv", validation="june.csv", test="july.csv"))
    assert both.fixed_split.tolist() == [TRAIN] * 2 + [VALIDATION] + [TEST] * 2
    assert len({source.fingerprint(), both.fingerprint(), read("may.csv").fingerprint()}) == 3


def test_an_origin_reads_the_same_again(months):
    for data in ("may.csv", ["may.csv", "june.csv"], Divided(train="ju*.csv", test="may.csv"), "iris"):
        source = read(data)
        assert read(named_by(source.origin)).fingerprint() == source.fingerprint()
    assert named_by(read((X, Y)).origin) is None
    assert named_by(read(Divided(train=(X, Y), test=(X, Y + 1))).origin) is None


def test_a_part_that_is_the_training_data_itself_is_refused(months):
    (months / "copy.csv").write_bytes((months / "may.csv").read_bytes())
    assert refusal(Divided(train="may.csv", test="copy.csv")) == (
        "the test data (copy.csv) holds the same rows as the training data; give others"
    )
    assert "same rows" in refusal(Divided(train="digits", validation="digits"))


def test_arrays_and_their_parts():
    source = read(Divided(train=(X, Y), validation=(X[:2], Y[:2])))
    assert source.array.shape == (6, 3) and source.fixed_split.tolist() == [0] * 4 + [1] * 2
    assert "the test data has rows of shape (2,), but arrays has (3,)" in refusal(
        Divided(train=(X, Y), test=(X[:, :2], Y))
    )
    assert "the test data has none" in refusal(Divided(train=(X, Y), test=(X, None)))
    assert "make them alike" in refusal(Divided(train=(X, Y), test=(X, np.array(["a", "b", "c", "d"]))))
    assert "holds a table, but arrays rows of numbers" in refusal(Divided(train=(X, Y), test={"a": [1]}))


def test_pictures_given_apart_take_shape_and_codes_of_the_training_pictures(tmp_path):
    train = pets(tmp_path / "train-pets", mode="L")
    save(tmp_path / "test-pets/dog/1.png", size=(30, 30))
    source = read(Divided(train=train, test=tmp_path / "test-pets"), Reading(cache=tmp_path / "cache"))
    assert source.array.shape == (7, 1, 20, 16) and source.targets.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert source.at(6) == "test-pets, row 1" and source.row_names[6] == "dog/1.png"
    assert "the test data has nothing of: 'cat'" in source.notes
    save(tmp_path / "test-pets/dgo/1.png")
    assert (
        "has the class 'dgo', which train-pets has not; it has 'cat', 'dog'; did you mean 'dog'?"
        in refusal(Divided(train=train, test=tmp_path / "test-pets"))
    )


def test_data_with_a_part_of_its_own(tmp_path):
    for part in ("train", "test"):
        pets(tmp_path / "pets" / part, count=2)
    other = pets(tmp_path / "more", count=2)
    assert refusal(Divided(train=tmp_path / "pets", test=other)) == (
        "pets has a test part of its own; leave out --test-data"
    )
    assert set(read(Divided(train=tmp_path / "pets", validation=other)).fixed_split) == {0, 1, 2}
    assert "is itself divided" in refusal(Divided(train=other, test=tmp_path / "pets"))
