"""How a script reads the files of a table: the simplest call of polars that gives the run's cells, in every file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import polars as pl

from chainrule.core.errors import RunError
from chainrule.core.text import listed, visible
from chainrule.data.delimited import read_header
from chainrule.data.encodings import USUAL, to_utf8
from chainrule.data.excel import EXCEL_ENDINGS
from chainrule.data.records import JSON_ENDINGS
from chainrule.data.source import PART_NAMES
from chainrule.data.tables import ENDINGS, PARQUET_ENDINGS, TEXT_ENDINGS
from chainrule.data.unpack import inner_name, unpacked
from chainrule.jobs.code_text import WIDTH, Part, Source, literal
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings

MOST_LISTED = 3  # files that are named one by one where a pattern names them all
ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", *USUAL, "latin-1")
EVERY_ROW = {"infer_schema_length": None}  # for types that the first rows do not tell
HEADER_ROWS = range(1, 12)  # of a workbook, where the first row is no header
# each is what a script does with the name of a column, and the same done here
NAMINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("name", lambda name: name),
    ("name.strip()", str.strip),
    ('name.strip("# ")', lambda name: name.strip("# ")),
    ('" ".join(name.split())', lambda name: " ".join(name.split())),
)


class Files(NamedTuple):
    """The lines that read all files into `table`, what they give, and its column that names each row's part."""

    lines: list[str]
    table: pl.DataFrame
    part_column: str = ""


class _Way(NamedTuple):
    """A function of polars that reads a file, and its arguments."""

    function: str
    arguments: Mapping[str, Any] = {}

    def text(self, file: str) -> str:
        given = "".join(f", {name}={literal(value)}" for name, value in self.arguments.items())
        return f"pl.{self.function}({file}{given})"

    def read(self, file: Path) -> pl.DataFrame:
        found: pl.DataFrame = getattr(pl, self.function)(file, **self.arguments)
        return found


def read_files(part: Part, recipe: Recipe, wanted: pl.DataFrame) -> Files:
    """Return the lines that read the run's files.

    Raises: RunError for files that no call of polars reads as the run did
    """
    files = _files(recipe.data)
    first = next(iter(files))
    for way in _ways(first, recipe.settings):
        try:
            frames = [way.read(file) for file in files]
            found = pl.concat(frames, how="vertical_relaxed")
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, TypeError, OSError):
            continue
        relaxed = ', how="vertical_relaxed"' * any(f.schema != frames[0].schema for f in frames)
        for text, naming in NAMINGS:
            names = [naming(name) for name in frames[0].columns]
            if len(set(names)) < len(names):
                continue
            found.columns = names
            if _holds(found, wanted):
                return _written(part, files, way, found, text, relaxed)
    shown = listed([file.name for file in files], 3)
    raise RunError(
        f"no single call of polars reads {shown} as the run did; save regular CSV in UTF-8 (commas, quotation marks in pairs, as "
        "many cells in each line, the same columns in each file), or Parquet, and train on that"
    )


def _files(data: Mapping[str, Any]) -> dict[Path, str]:
    """Return every file of the run with the name of its part, in the order of their rows."""
    origins = {"train": data} | {n: data[f"{n}_data"] for n in PART_NAMES.values() if f"{n}_data" in data}
    files: dict[Path, str] = {}
    for part, origin in origins.items():
        if origin["kind"] not in ("file", "files"):
            raise RunError(
                f"a table together with data of the kind {origin['kind']} is not yet supported in scripts"
            )
        for path in map(Path, origin.get("paths") or [origin["path"]]):
            if path in files:
                raise RunError(f"{visible(path.name)} is in two parts, which is not yet supported in scripts")
            files[path] = part
    return files


def _ways(path: Path, settings: Settings) -> Iterator[_Way]:
    """Yield the ways in which a file may be read, the simplest first."""
    ending = PurePath(inner_name(path.name)).suffix.lower()
    if ending in PARQUET_ENDINGS:
        yield _Way("read_parquet")
    elif ending in EXCEL_ENDINGS:
        yield from _workbook_ways(path, settings)
    elif ending in JSON_ENDINGS:
        function = "read_json" if ending == ".json" else "read_ndjson"
        yield from (_Way(function), _Way(function, EVERY_ROW))
    else:
        yield from _text_ways(path, ending, settings)


def _workbook_ways(path: Path, settings: Settings) -> Iterator[_Way]:
    import fastexcel

    sheets = [settings.sheet] if settings.sheet else fastexcel.read_excel(path).sheet_names
    for place, sheet in enumerate(sheets):
        named = {"sheet_name": sheet} if settings.sheet or place else {}
        for row in [0, *HEADER_ROWS]:
            header = {"read_options": {"header_row": row}} if row else {}
            yield _Way("read_excel", {**named, **header})
            yield _Way("read_excel", {**named, **header, **EVERY_ROW})


def _text_ways(path: Path, ending: str, settings: Settings) -> Iterator[_Way]:
    content, _ = unpacked(path.read_bytes(), path.name, ENDINGS)
    text, _ = to_utf8(content, path.name, settings.encoding)
    encoding = {} if text == content else {"encoding": _encoding(content, text, settings)}
    separator = read_header(content, TEXT_ENDINGS.get(ending, ","), path.name, settings.encoding)[1]
    cut = {} if separator == "," else {"separator": separator}
    above = next((n for n, line in enumerate(text.split(b"\n")) if not line.startswith((b"#", b"sep="))), 0)
    starts: list[dict[str, Any]] = [{}]
    if above:
        starts = [{"comment_prefix": "#"}, {"skip_lines": above}, {"skip_lines": above - 1}]
    for start in starts:
        yield _Way("read_csv", {**encoding, **cut, **start, "infer_schema": False})


def _encoding(content: bytes, text: bytes, settings: Settings) -> str:
    """Return the encoding that gives the text."""
    for name in [*filter(None, [settings.encoding]), *ENCODINGS]:
        try:
            if content.decode(name).encode() == text:
                return name
        except (UnicodeError, LookupError):
            continue
    raise RunError("its encoding is not supported in scripts; save the table as UTF-8")


def _holds(found: pl.DataFrame, wanted: pl.DataFrame) -> bool:
    """Whether a table holds the wanted columns, cell by cell; numbers may be whole in one alone, dates have a time in one alone."""
    if found.height != wanted.height:
        return False
    for name in wanted.columns:
        if name not in found.columns:
            return False
        cells, right = found[name].alias("cells"), wanted[name].alias("cells")
        if all(kind.is_numeric() or kind in (pl.Date, pl.Datetime) for kind in (cells.dtype, right.dtype)):
            cells = cells.cast(right.dtype, strict=False)
        if not cells.equals(right, null_equal=True):
            return False
    return True


def _written(
    part: Part, files: dict[Path, str], way: _Way, named: pl.DataFrame, naming: str, relaxed: str
) -> Files:
    """Write the reading: of one file, of several, or of several that are each a part."""
    comment = "  # every cell as text" if way.function == "read_csv" else ""
    rename = [] if naming == "name" else [f"table.columns = [{naming} for name in table.columns]"]
    if len(files) == 1:
        part.setting("DATA", next(iter(files)))
        return Files([*_assigned(way.text("DATA"), comment), *rename], named)
    if set(files.values()) == {"train"}:
        part.uses("pathlib:Path")
        part.setting("FILES", _pattern(list(files)))
        text = f"pl.concat([{way.text('file')} for file in FILES]{relaxed})"
        return Files([*_assigned(text, comment), *rename], named)
    part.uses("pathlib:Path")
    part.setting("FILES", {Source(literal(file)): name for file, name in files.items()})
    column = "part"
    while column in named.columns:
        column += "_"
    lines = [
        "tables = []",
        "for file, part in FILES.items():",
        *(f"    {line}" for line in [*_assigned(way.text("file"), comment), *rename]),
        f"    tables.append(table.with_columns({column}=pl.lit(part)))",
        f"table = pl.concat(tables{relaxed})",
    ]
    counts = [way.read(file).height for file in files]
    names = [name for name, count in zip(files.values(), counts, strict=True) for _ in range(count)]
    return Files(lines, named.with_columns(pl.Series(column, names)), column)


def _assigned(call: str, comment: str) -> list[str]:
    """Return the lines of `table = call`, cut at its outermost brackets where one line would be too long."""
    for text in (f"table = {call}{comment}", f"table = {call}"):
        if len(text) <= WIDTH - 8:
            return [text]
    start = call.index("(") + 1
    return [f"table = {call[:start]}", f"    {call[start:-1]}", ")"]


def _pattern(files: list[Path]) -> Any:
    """Return files as a list, or as the pattern that fits no others where they are many."""
    folder, ending = files[0].parent, files[0].suffix
    if len(files) > MOST_LISTED and sorted(folder.glob(f"*{ending}")) == files:
        return Source(f"sorted({literal(folder)}.glob({literal('*' + ending)}))")
    return files
