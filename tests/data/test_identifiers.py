"""Columns that tell rows apart are named; measures that happen to be unique are not."""

import polars as pl
import pytest

from chainrule.data.identifiers import key_text, running_number


def said_of_numbers(name: str, numbers: list[float]) -> str:
    remark = running_number(name, pl.Series("cells", numbers))
    return remark.one if remark else ""


def said_of_texts(texts: list[str]) -> str:
    remark = key_text("c", pl.Series("cells", texts), len(set(texts)))
    return remark.one if remark else ""


@pytest.mark.parametrize("start", [0, 1, 5000])
def test_numbers_that_count_the_rows(start: int) -> None:
    said = said_of_numbers("no", list(range(start, start + 30)))
    assert said == (
        f"counts the rows ({start}, {start + 1}, {start + 2}, …) and is left out; --column no=number keeps it"
    )


SHUFFLED = [(i * 7) % 101 for i in range(101)]


@pytest.mark.parametrize("name", ["id", "ID", "PassengerId", "customer_id", "UUID", "rownames", "Obs"])
def test_other_whole_numbers_in_every_row_under_the_name_of_a_key(name: str) -> None:
    assert said_of_numbers(name, SHUFFLED).startswith(
        "has another whole number in every row, an identifier by its name, and is left out; --column "
    )


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("salary", SHUFFLED),  # unique, but nothing says that it is a key
        ("year", list(range(1950, 2000))),
        ("jahr", list(range(1950, 2000))),
        ("x", list(range(50))),
        ("time", list(range(50))),
        ("valid", SHUFFLED),
        ("id", [*SHUFFLED, 3]),  # stands twice: a group
        ("id", [i + 0.5 for i in SHUFFLED]),
        ("level", [i + 0.5 for i in range(50)]),
        ("a", list(range(10))),
        ("a", list(range(0, 60, 2))),
    ],
)
def test_measures_are_kept(name: str, numbers: list[float]) -> None:
    assert said_of_numbers(name, numbers) == ""


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("img/{}.JPG", "holds paths to pictures ('img/0.JPG') and is left out: networks for pictures take a folder"),
        ("the {} dogs were very happy", "holds free text (6 words a cell: 'the 0 dogs were very happy') and is left out"),
        ("K{}", "has another text in nearly every row (a code, 'K0') and is left out; --column c=category keeps it"),
        ("https://a.org/{}", "(an address, 'https://a.org/0')"),
        ("{}@a.org", "(an e-mail address, '0@a.org')"),
        ("Ann {}", "(a name or a key, 'Ann 0')"),
        ("5f9c2a7e-0000-4000-8000-00000000{:04d}", "(a UUID, "),
        ("d41d8cd98f00b204e9800998ecf8{:04d}", "(a hash, "),
    ],
)  # fmt: skip
def test_texts_of_another_kind(cell: str, said: str) -> None:
    assert said in said_of_texts([cell.format(i) for i in range(40)])


def test_texts_that_come_again_are_categories() -> None:
    assert said_of_texts(["a", "b"] * 30) == ""
    assert said_of_texts(["one of the many dogs", "one of the few cats"] * 30) == ""
    assert said_of_texts([f"K{i}" for i in range(15)]) == "", "so few rows prove nothing"
    assert said_of_texts(["a.png", "b.png"] * 30).startswith("holds paths to pictures"), (
        "also where they repeat"
    )
