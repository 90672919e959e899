"""Whole tables as people write them: what is read, what is left out, and what is said of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from chainrule.core.errors import DataError, SettingError, UnknownNameError
from chainrule.core.typed_json import typed
from chainrule.data.read import read
from chainrule.data.schema import Schema, find_schema
from chainrule.data.source import Source

FIXTURES = Path(__file__).parents[1] / "fixtures"


def table(columns: dict[str, Any], name: str = "t.csv") -> Source:
    return Source(name=name, origin={}, frame=pl.DataFrame(columns))


def found(source: Source | dict[str, Any], **told: Any) -> tuple[Schema, list[str]]:
    schema, said = find_schema(source if isinstance(source, Source) else table(source), **told)
    return schema, list(said.notes)


def kinds(schema: Schema) -> dict[str, str]:
    return {c.name: f"{c.kind} {c.format}".strip() for c in schema.columns}


def test_orders_as_a_german_office_writes_them() -> None:
    source = read(FIXTURES / "orders_german.csv")
    schema, said = found(source)
    assert kinds(schema) == {
        "Datum": "date %d.%m.%Y",
        "Uhrzeit": "time %H:%M",
        "Menge": "number 1.234,5",
        "Rabatt": "number 1234,5 %",
        "Gewicht": "number 1.234,5",
        "Land": "category",
    }
    assert schema.target.formats == ("1.234,5 €",)
    assert said[2:] == [
        "the target 'Preis' is written like '2.298,15 €' and read as 2298.15; predictions are plain numbers",
        "column 'Kunde' has another text in nearly every row (a code, 'K120779') and is left out; --column "
        "Kunde=category keeps it",
        "column 'Menge' is written like '1.800' and read as 1800, the decimal sign being a comma (--decimal . says "
        "otherwise)",
        "column 'Rabatt' is written like '2,1 %' and read as 2.1",
        "column 'Gewicht' is written like '3.775' and read as 3775, the decimal sign being a comma (--decimal . says "
        "otherwise)",
        "column 'Foto' holds paths to pictures ('bilder/000.jpg') and is left out: networks for pictures take a folder "
        "with one folder of pictures per class, not a column of paths",
        "column 'Kommentar' holds free text (9 words a cell: 'Paket war leider spät und alles heil 0') and is left out: "
        "there are no networks for text yet; --column Kommentar=category takes each text as a value",
    ]
    examples = schema.encode(source)
    first = dict(zip(schema.number_names, examples.numbers[0].tolist(), strict=True))
    assert (first["Menge"], first["Rabatt"], first["Gewicht"]) == (1800, 2.1, 3775)
    assert first["Uhrzeit (hours)"] == pytest.approx(21.3)
    assert np.isnan(examples.numbers[7, schema.number_names.index("Rabatt")]), "an empty cell is missing"
    assert examples.targets is not None and examples.targets[0].tolist() == [2298.15]
    again = typed(Schema, json.loads(json.dumps(schema.to_json())))
    again.check()
    assert again == schema


def test_houses_as_an_american_agent_writes_them() -> None:
    source = read(FIXTURES / "houses_american.csv")
    schema, said = found(source)
    assert kinds(schema) == {
        "Sold": "date %B %d, %Y",
        "Seen At": "time %I:%M %p",
        "Area": "number 1,234.5",
        "Tax": "number 1234.5 %",
        "Balance": "number 1,234.5",
    }
    assert schema.left_out == ("Id", "Agent ID")
    assert "column 'Id' counts the rows (1, 2, 3, …) and is left out; --column Id=number keeps it" in said
    assert (
        "column 'Agent ID' has another whole number in every row, an identifier by its name, and is left out; "
        "--column 'Agent ID=number' keeps it"
    ) in said
    assert (
        "column 'Balance' is written like '4,510' and read as 4510, the decimal sign being a point (--decimal , says "
        "otherwise)"
    ) in said
    numbers = schema.encode(source).numbers
    second = dict(zip(schema.number_names, numbers[1].tolist(), strict=True))
    assert (second["Area"], second["Balance"]) == (2893, -2198)
    assert second["Seen At (hours)"] == pytest.approx(22 + 11 / 60)
    told = kinds(found(source, columns=["Id=number", "Area=category", "Tax=ignore"], decimal=".")[0])
    assert (told["Id"], told["Area"], "Tax" in told) == ("number", "category", False)


def test_a_swiss_account_and_a_french_station() -> None:
    schema, said = found(read(FIXTURES / "bank_swiss.csv"))
    assert kinds(schema) == {
        "Betrag": "number CHF 1'234.5",
        "Zins": "number 1234.5 %",
        "Monat": "date %Y-%m",
        "Art": "category",
    }
    assert (
        "the target 'Saldo' is written like '-1’759.02' and read as -1759.02; predictions are plain numbers"
        in said
    )
    schema, said = found(read(FIXTURES / "sensors_french.csv"))
    assert kinds(schema)["débit"] == "number 1 234,5" and kinds(schema)["température"] == "number 1234,5 °C"
    assert "column 'température' is written like '8,8 °C' and read as 8.8" in said


def test_later_rows_are_read_in_the_same_way_or_refused() -> None:
    source = read(FIXTURES / "orders_german.csv")
    schema, _ = found(source)
    assert source.frame is not None
    later = Source(
        name="new.csv", origin={}, frame=source.frame.head(2).with_columns(Rabatt=pl.Series(["3 %", "4.5 %"]))
    )
    with pytest.raises(
        DataError,
        match=r"^new\.csv, row 2: column 'Rabatt' held numbers written like '1234,5 %' in training; got '4\.5 %'",
    ):
        schema.encode_inputs(later)
    plain = Source(
        name="new", origin={}, frame=source.frame.head(2).with_columns(Rabatt=pl.Series([3.0, 4.5]))
    )
    assert schema.encode_inputs(plain).numbers[:, schema.number_names.index("Rabatt")].tolist() == [3, 4.5]


OPEN = {"a": ["1,234", "5,678"], "y": ["0.5", "1.5"]}


def test_the_decimal_sign_of_the_file_decides_what_is_open() -> None:
    decided = {**OPEN, "b": ["1,5", "2,5"], "c": ["1.234", "5.678"], "y": ["7", "8"]}
    assert kinds(found(OPEN, target="y")[0]) == {"a": "number 1,234.5"}
    assert kinds(found(decided, target="y")[0]) == {
        "a": "number 1234,5",
        "b": "number 1234,5",
        "c": "number 1.234,5",
    }
    assert kinds(found(decided, target="y", decimal=".")[0]) == {"a": "number 1,234.5", "b": "number 1234,5", "c": "number"}  # fmt: skip
    both = {**decided, "d": ["0.25", "1.5"]}
    assert kinds(found(both, target="y")[0])["a"] == "number 1,234.5", (
        "a file with both signs decides nothing"
    )


def test_what_a_user_says_of_a_column_holds() -> None:
    rows = {"n": ["1", "2", "x", "4"], "c": ["a", "b", "a", "b"], "y": ["1.5", "2.5", "3.5", "0.5"]}
    schema, said = found(rows, target="y", columns=["n=number"])
    assert kinds(schema)["n"] == "number" and schema.columns[0].strays == ("x",)
    assert said[-1] == "column 'n' holds numbers, but 1 cell is none ('x'): it counts as missing"
    schema, _ = found({**rows, "one": ["7"] * 4}, target="y", columns=["one=number", "n=category"])
    assert kinds(schema) == {"n": "category", "c": "category", "one": "number"}


@pytest.mark.parametrize(
    ("told", "error", "message"),
    [
        ("nn=number", UnknownNameError, "no column of t.csv is called 'nn'; did you mean 'n'?"),
        ("n=numbr", UnknownNameError, "no kind of column is called 'numbr'; did you mean 'number'"),
        ("n", SettingError, "--column takes NAME=KIND, such as age=number; got 'n'"),
        ("y=number", SettingError, "--column y=number: 'y' is the target; --task says what it is"),
        ("c=number", DataError, "t.csv, row 1: column 'c' cannot be a number: no cell can be read as one (here 'a')"),
        ("c=date", DataError, "column 'c' cannot be a date"),
        ("n=boolean", DataError, "t.csv, row 1: column 'n' cannot be a boolean"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_of_a_column(told: str, error: type[Exception], message: str) -> None:
    rows = {"n": ["3", "2"], "c": ["a", "b"], "y": ["1.5", "2.5"]}
    with pytest.raises(error) as caught:
        found(rows, target="y", columns=[told])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("sign", "cells", "said"),
    [
        (",", ["1.5", "22.25", "3"], "is read with a decimal point ('1.5' as 1.5)"),
        (",", ["1,234,567", "5", "12"], "is read with a decimal point ('1,234,567' as 1234567)"),
        (".", ["1,5", "22,25", "3"], "is read with a decimal comma ('1,5' as 1.5)"),
        (
            ".",
            ["1.250.000,5 €", "3,5 €", "7 €"],
            "is read with a decimal comma ('1.250.000,5 €' as 1250000.5)",
        ),
        (".", ["1.5", "1,234", "3"], None),
        (",", ["1,5", "1.234", "3"], None),
        (",", ["1", "2", "3"], None),
        (".", ["1", "2", "3"], None),
    ],
)
def test_a_decimal_sign_that_does_not_fit_is_said(sign: str, cells: list[str], said: str | None) -> None:
    for target in ("y", "a"):
        notes = found({"a": cells, "y": ["1", "5", "7"]}, target=target, task="regression", decimal=sign)[1]
        about = [note for note in notes if note.startswith(f"--decimal {sign} ")]
        assert about == ([] if said is None else [f"--decimal {sign} does not fit column 'a', which {said}"])


def test_columns_that_a_decimal_sign_does_not_fit_are_one_sentence() -> None:
    columns = {name: [f"{place}.{i}7" for i in range(6)] for place, name in enumerate("abcdefghijkl")}
    columns |= {"word": ["x.5", "y.5"] * 3, "day": ["1.2.2024", "2.2.2024"] * 3}
    _, notes = found(columns, target="l", decimal=",")
    assert notes[-1] == (
        "--decimal , does not fit columns 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 4 more, which are read with a decimal "
        "point ('0.07' as 0.07)"
    )
    assert not [note for note in found(columns, target="l")[1] if "--decimal" in note]


def test_the_decimal_sign_is_checked_and_arrays_have_no_columns() -> None:
    with pytest.raises(SettingError, match=r"^--decimal takes \. or ,; got 'x'$"):
        found(OPEN, target="y", decimal="x")
    arrays = Source(name="arrays", origin={}, array=np.zeros((4, 2)), targets=np.arange(4.0))
    with pytest.raises(SettingError, match=r"^--column names a column of a table, which arrays is not$"):
        find_schema(arrays, columns=["a=number"])


def test_numbers_that_count_the_rows_stay_where_they_are_all_there_is() -> None:
    schema, said = found({"i": range(30), "y": [v * 0.5 for v in range(30)]}, target="y")
    assert kinds(schema) == {"i": "number"}
    assert said[-1] == (
        "column 'i' counts or names the rows, but is all that there is to learn from; --column i=ignore leaves it out"
    )


def test_numbers_and_words_half_and_half_are_said() -> None:
    mixed = [str(i / 7) if i % 2 else f"word {i % 6}" for i in range(60)]
    schema, said = found({"m": mixed, "y": [v * 0.5 for v in range(60)]}, target="y")
    assert kinds(schema) == {"m": "category"}
    assert said[-1] == (
        "column 'm' mixes numbers (50.0 % of its cells) and words ('word 0') and is taken as a category; --column m=number "
        "takes the words as missing"
    )


def test_thousands_of_columns_are_said_in_a_few_sentences() -> None:
    columns: dict[str, Any] = {f"k{i}": ["same"] * 3 for i in range(1500)}
    columns |= {f"p{i}": ["1%", "2%", "3.5%"] for i in range(300)}
    schema, said = found({**columns, "y": ["1.5", "2.5", "3.5"]}, target="y")
    assert len(schema.columns) == 300 and len(said) == 3
    assert said[1].startswith("1,500 columns have one value throughout and are left out: 'k0', 'k1'")
    assert said[2].startswith("300 columns are written like '1234.5 %', and read so: 'p0'")


def test_so_many_values_that_the_frequent_ones_are_rare_are_left_out() -> None:
    values = [f"v {i % 5000}" for i in range(10_000)]
    schema, said = found({"v": values, "n": [0.5, 1.5] * 5000, "y": [1.5, 2.5, 3.5, 4.5] * 2500}, target="y")
    assert schema.left_out == ("v",)
    assert said[-1] == (
        "column 'v' has 5,000 values, of which the 100 most frequent stand in 2.0 % of its cells, and is left out; "
        "--column v=category keeps it"
    )


def test_one_row_teaches_nothing() -> None:
    with pytest.raises(DataError, match=r"^t\.csv has one row; at least 3 are needed to learn from"):
        found({"a": ["1"], "y": ["2"]})


@pytest.mark.parametrize("name", ["iris", "wine", "breast-cancer", "diabetes", "digits"])
def test_nothing_of_clean_data_is_left_out(name: str) -> None:
    schema, said = find_schema(read(name))
    assert schema.left_out == () and said.warnings == () and len(said.notes) <= 2
