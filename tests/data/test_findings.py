"""What is said of columns, also where there are very many."""

from chainrule.data.findings import Findings, Remark, gathered, override


def test_few_are_said_one_by_one_in_their_order() -> None:
    remarks = [Remark("a", "is empty", "are empty"), Remark("b", "is odd", "are odd"), Remark("c", "is empty", "are empty")]  # fmt: skip
    assert gathered(remarks) == ("column 'a' is empty", "column 'b' is odd", "column 'c' is empty")


def test_many_are_said_at_once_where_the_first_stands() -> None:
    remarks = [Remark(f"k{i}", "is empty", "are empty") for i in range(2000)]
    said = gathered([Remark("a", "is odd", "are odd"), *remarks])
    assert said[0] == "column 'a' is odd" and len(said) == 2
    assert said[1].startswith("2,000 columns are empty: 'k0', 'k1'") and said[1].endswith(" and 1992 more")


def test_names_are_shown_safely() -> None:
    assert gathered([Remark("\x1b[31m", "is odd", "")]) == ("column '\\x1b[31m' is odd",)
    assert override("a b", "number") == "--column 'a b=number'"


def test_findings_add_up() -> None:
    assert Findings(notes=("a",)) + Findings(notes=("b",), warnings=("c",)) == Findings(
        notes=("a", "b"), warnings=("c",)
    )
