"""Tables as JSON: an array of records, or one record per line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from chainrule.core.errors import DataError
from chainrule.core.text import visible
from chainrule.data.untrusted import as_data_error

MOST_CELLS = 50_000_000
JSON_ENDINGS = (".json", ".jsonl", ".ndjson")
HALVES = re.compile(rb"\\u[dD][89a-fA-F]")  # an escape that may be half of a pair


def read_records(content: bytes, name: str, ending: str) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the columns of records, and what the user should hear; a record without a field lacks that cell.

    Raises: DataError naming the line or record where something is wrong
    """
    records = list(_array(content, name) if ending == ".json" else _lines(content, name))
    if not records:
        raise DataError(f"{name} holds no records")
    for place, record in records:
        if not isinstance(record, dict):
            raise DataError(
                f'{name}, {place} is {visible(repr(record), 40)}; a record was wanted, such as {{"a": 1, "b": "x"}}'
            )
    titles = dict.fromkeys(title for _, record in records for title in record)
    if len(titles) * len(records) > MOST_CELLS:
        raise DataError(
            f"{name} has {len(titles):,} fields in {len(records):,} records, more than a table can hold"
        )
    columns = {title: _cells([record.get(title) for _, record in records]) for title in titles}
    return columns, [f"{name}: {len(records):,} records"]


def _cells(values: list[Any]) -> list[Any]:
    """Return values in one type where they have one: whole numbers among others are floats, nested values text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if kinds & {dict, list}:
        return [json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for v in values]
    return values


def _loads(text: bytes) -> Any:
    """Read JSON; a half of a surrogate pair, which no text can hold, becomes a question mark."""
    value = json.loads(text)
    return _whole(value) if HALVES.search(text) else value


def _whole(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def _array(content: bytes, name: str) -> Iterator[tuple[str, Any]]:
    with as_data_error(f"{name} cannot be read as JSON"):
        value = _loads(content)
    if isinstance(value, dict) and value and all(isinstance(cells, list) for cells in value.values()):
        lengths = {len(cells) for cells in value.values()}
        if len(lengths) == 1:  # columns, as some programs write them
            value = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    if not isinstance(value, list):
        raise DataError(f'{name} should be an array of records, such as [{{"a": 1}}, {{"a": 2}}]')
    for place, record in enumerate(value, 1):
        yield f"record {place}", record


def _lines(content: bytes, name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            with as_data_error(f"{name}, line {number} cannot be read as JSON"):
                record = _loads(line)
            yield f"line {number}", record
