"""Numbers as people write them: found, read, and written down in a recipe."""

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chainrule.data.number_formats import (
    CURRENCIES,
    MEASURES,
    NumberFormat,
    find_number_format,
    read_numbers,
    read_texts,
    said_of,
)

FORMATS = st.builds(
    NumberFormat,
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from(["", ",", ".", " ", "'"]),
    unit=st.sampled_from(["", *sorted(CURRENCIES | MEASURES)]),
).filter(lambda form: form.thousands != form.decimal)


def written(number: float, form: NumberFormat, is_first: bool, decimals: int) -> str:
    text = f"{abs(number):,.{decimals}f}".translate(
        {ord(","): form.thousands or None, ord("."): form.decimal}
    )
    parts = [form.unit, text] if is_first else [text, form.unit]
    return ("-" if number < 0 else "") + " ".join(filter(None, parts))


@pytest.mark.parametrize(
    ("cells", "form", "numbers"),
    [
        (["12.5 %", "3%"], "1234.5 %", [12.5, 3]),
        (["12,5 %", "3%", "100 %"], "1234,5 %", [12.5, 3, 100]),
        (["$1,234.50", "$3", "-$4.1", "($1,200)", "$-7"], "$1,234.5", [1234.5, 3, -4.1, -1200, -7]),
        (["1.234,56 €", "1 €", "-2€"], "1.234,5 €", [1234.56, 1, -2]),
        (["CHF 1'200", "CHF 3.50", "CHF 1’300"], "CHF 1'234.5", [1200, 3.5, 1300]),
        (["(1,200)", "5", "1,200,000"], "1,234.5", [-1200, 5, 1200000]),
        (["1\u202f234,5", "3"], "1 234,5", [1234.5, 3]),
        (["1 234", "5"], "1 234.5", [1234, 5]),
        (["1,5", "2"], "1234,5", [1.5, 2]),
        (["0,123", "1,234"], "1234,5", [0.123, 1.234]),
        (["12,34,567", "1"], "1,234.5", [1234567, 1]),
        (["−3,5", "+2"], "1234,5", [-3.5, 2]),
        (["180 cm", "165cm"], "1234.5 cm", [180, 165]),
        (["1e5 $", "3"], "1234.5 $", [100000, 3]),
    ],
)  # fmt: skip
def test_ways_of_writing(cells: list[str], form: str, numbers: list[float]) -> None:
    found, how = read_texts(pl.Series("cells", cells))
    assert how is not None and (str(how.format), found.to_list()) == (form, numbers)
    assert NumberFormat.parse(form) == how.format


@pytest.mark.parametrize(
    "cells",
    [["Q1", "Q2"], ["$", "€"], ["12.03.2024", "1.1.2025"], ["1,2,3"], ["5,"], ["12:30"], ["3-4"], ["(5"]],
)
def test_what_is_no_number(cells: list[str]) -> None:
    numbers, how = read_texts(pl.Series("cells", cells))
    assert how is None and not numbers.count()


def test_plain_numbers_stay_plain_unless_a_comma_is_the_sign() -> None:
    cells = pl.Series("cells", ["1.234", "5.678"])
    assert read_texts(cells)[1] is None and read_texts(cells)[0].to_list() == [1.234, 5.678]
    numbers, how = read_texts(cells, ",")
    assert how is not None and str(how.format) == "1.234,5" and numbers.to_list() == [1234, 5678]
    assert read_texts(pl.Series("cells", ["1.5", "2.25"]), ",")[1] is None, "a point it is, whatever was said"


@pytest.mark.parametrize(
    ("cells", "decimal", "number"),
    [
        (["1,234", "5,678"], None, 1234),
        (["1,234", "5,678"], ".", 1234),
        (["1,234", "5,678"], ",", 1.234),
        (["1.234 €", "9.876 €"], None, 1234),  # no coin has three digits
        (["1.234 €", "9.876 €"], ".", 1.234),
        (["1.234 %", "9.876 %"], None, 1.234),
    ],
)  # fmt: skip
def test_open_cases_are_decided_and_can_be_told(cells: list[str], decimal: str | None, number: float) -> None:
    seen = pl.Series("cells", cells)
    how = find_number_format(seen, seen, decimal)
    assert how is not None and how.is_open and how.decimal == "" and how.numbers[0] == number


def test_what_is_said_names_a_cell_and_the_way_out() -> None:
    for cells, said in (
        (["7", "$1,234.50"], "like '$1,234.50' and read as 1234.5"),
        (
            ["7", "1,234"],
            "like '1,234' and read as 1234, the decimal sign being a point (--decimal , says otherwise)",
        ),
    ):
        seen = pl.Series("cells", cells)
        how = read_texts(seen)[1]
        assert how is not None and said_of(how, seen) == said


def test_other_ways_are_not_read() -> None:
    form = NumberFormat.parse("1.234,5 €")
    cells = pl.Series("cells", ["1.234,5 €", "7", "1,234.5 €", "1.5", "$5", "1.23.456", "(3,5 €)", None])
    assert read_numbers(cells, form).to_list() == [1234.5, 7, None, None, None, None, -3.5, None]


@pytest.mark.parametrize("text", ["", "1234", "number", "1234.5.5", "2345.6"])
def test_what_is_no_format(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no way to write 1234\.5"):
        NumberFormat.parse(text)


@given(FORMATS, st.booleans(), st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5), st.integers(0, 4))
@example(NumberFormat(decimal=",", thousands=".", unit="€"), True, [1234.5], 1)
def test_every_format_reads_what_is_written_in_it(
    form: NumberFormat, is_first: bool, numbers: list[float], decimals: int
) -> None:
    is_first = is_first and form.unit in CURRENCIES
    form = NumberFormat(
        decimal=form.decimal, thousands=form.thousands, unit=form.unit, is_unit_first=is_first
    )
    assert NumberFormat.parse(str(form)) == form
    cells = pl.Series("cells", [written(number, form, is_first, decimals) for number in numbers])
    assert read_numbers(cells, form).to_list() == [round(number, decimals) for number in numbers]


@given(st.lists(st.text("0123456789.,'() -+%$€e", max_size=8), min_size=1, max_size=6))
def test_any_text_is_read_or_left(texts: list[str]) -> None:
    numbers, how = read_texts(pl.Series("cells", texts))
    assert numbers.len() == len(texts) and not numbers.is_nan().any()
    assert how is None or numbers.count()


def test_spaces_are_said_as_they_look():
    seen = pl.Series(["1\u202f234,50\u00a0€"])
    _, how = read_texts(seen)
    assert how is not None and said_of(how, seen) == "like '1 234,50 €' and read as 1234.5"


def test_a_decimal_comma_that_changes_nothing_is_not_said() -> None:
    seen = pl.Series("cells", ["0", "02.03 11:30"])
    numbers, found = read_texts(seen, ",")
    assert found is None and numbers.to_list() == [0.0, None]
