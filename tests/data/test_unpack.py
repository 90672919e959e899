"""Compressed tables, and files that claim to be."""

import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.core.errors import DataError, MissingExtraError
from chainrule.data.read import read
from chainrule.data.unpack import ALWAYS_BYTES, most_unpacked, unpacked
from tests.data.samples import IN_ONE_FOLDER

TABLE = b"a,b\n1,2\n3,4\n"


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv.gz", gzip.compress(TABLE)),
        ("t.tsv.gz", gzip.compress(TABLE.replace(b",", b"\t"))),
        ("t.csv.zip", zipped(t_csv=TABLE)),
        ("t.zip", zipped(README_md=b"hello", data__t_csv=TABLE)),
    ],
    ids=["csv.gz", "tsv.gz", "csv.zip", "zip"],  # the bytes hold the time
)
def test_a_packed_table_is_that_table(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    source = read(tmp_path / name)
    assert source.frame.rows() == [("1", "2"), ("3", "4")] and source.name == name


def test_zstd_where_its_package_is_installed(tmp_path):
    path = tmp_path / "t.csv.zst"
    try:
        from backports import zstd
    except ImportError:
        path.write_bytes(b"\x28\xb5\x2f\xfd")
        with pytest.raises(MissingExtraError, match=r"pip install 'chainrule\[zstd\]'"):
            read(path)
    else:
        path.write_bytes(zstd.compress(TABLE))
        assert read(path).frame.height == 2


def test_an_archive_of_none_or_several_tables(tmp_path):
    (tmp_path / "two.zip").write_bytes(zipped(a_csv=TABLE, b_csv=TABLE))
    with pytest.raises(
        DataError, match=r"two.zip holds 2 tables \('a.csv', 'b.csv'\); a .zip with one table"
    ):
        read(tmp_path / "two.zip")
    (tmp_path / "none.zip").write_bytes(zipped(a_md=b"text"))
    with pytest.raises(DataError, match=r"none.zip holds no table \('a.md'\)"):
        read(tmp_path / "none.zip")


@pytest.mark.parametrize("ending", [".gz", ".zip"])
def test_a_bomb_is_put_out(ending):
    zeros = bytes(ALWAYS_BYTES + 1)
    content = gzip.compress(zeros) if ending == ".gz" else zipped(t_csv=zeros)
    with pytest.raises(DataError, match=r"unpacks to more than .*, far more than a table of its size"):
        unpacked(content, f"t.csv{ending}", (".csv",))
    assert most_unpacked(10**9) == 50 * 10**9


@IN_ONE_FOLDER
@given(st.binary(max_size=60), st.sampled_from(["t.csv.gz", "t.zip"]), st.booleans())
def test_any_bytes_give_content_or_a_data_error(content, name, damaged):
    if damaged:
        whole = gzip.compress(TABLE) if name.endswith("gz") else zipped(t_csv=TABLE)
        content = whole[: len(whole) // 2] + content + whole[len(whole) // 2 :]
    try:
        unpacked(content, name, (".csv",))
    except DataError as error:
        assert name in str(error)
