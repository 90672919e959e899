"""Several sources made one: the files of one table, or the training, validation and test data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.core.errors import DataError, nearest
from chainrule.core.text import listed, visible
from chainrule.data.source import PART_NAMES, TRAIN, Source
from chainrule.data.store import StoredRows, stacked

if TYPE_CHECKING:
    import polars as pl

    from chainrule.data.stored_table import StoredTable

SHOWN_FILES = 6


def join_files(sources: Sequence[Source], origin: dict[str, Any]) -> Source:
    """Put the rows of several files one below the other; columns are matched by name.

    Raises: DataError naming the file and what does not fit
    """
    first = sources[0]
    for source in sources:
        if source.is_pictures or source.fixed_split is not None:
            what = "holds pictures" if source.is_pictures else "is divided into parts itself"
            raise DataError(
                f"{source.name} {what}, and several files are read together only where each holds rows of one table"
            )
    more = len(sources) - 1
    counts = [f"{source.name} {len(source):,}" for source in sources]
    if len(counts) > SHOWN_FILES:
        counts[SHOWN_FILES - 1 :] = [f"{len(counts) - SHOWN_FILES + 1} more"]
    return replace(
        _stacked(sources),
        name=f"{first.name} and {more} more file{'s' * (more > 1)}",
        origin=origin,
        notes=(f"rows of {len(sources)} files: {', '.join(counts)}", *_notes(sources)),
    )


def join_divided(parts: Mapping[int, Source]) -> Source:
    """Make training, validation and test data one source that remembers which row is whose.

    Raises: DataError naming the part and what does not fit
    """
    train = parts[TRAIN]
    for number, part in parts.items():
        whose = f"the {PART_NAMES[number]} data"
        whose = part.name if part.name == whose else f"{whose} ({part.name})"
        if number == TRAIN:
            _check_divided_once(part, parts)
        elif part.fixed_split is not None:
            raise DataError(f"{whose} is itself divided into parts; name the part that is meant")
        elif len(part) == len(train) and part.fingerprint() == train.fingerprint():
            raise DataError(f"{whose} holds the same rows as the training data; give others")
    numbers = [np.full(len(part), number, np.int8) for number, part in parts.items()]
    if train.fixed_split is not None:
        numbers[0] = train.fixed_split.astype(np.int8)
    others = {f"{PART_NAMES[n]}_data": part.origin for n, part in parts.items() if n != TRAIN}
    joined = replace(
        _stacked(list(parts.values())),
        name=train.name,
        origin={**train.origin, **others},
        fixed_split=np.concatenate(numbers),
        notes=(*_notes(parts.values()), *_lacking_classes(parts)),
    )
    return replace(joined, digest=joined.digest and f"{joined.digest}:{sorted(parts)}")


def _check_divided_once(train: Source, parts: Mapping[int, Source]) -> None:
    if train.fixed_split is None:
        return
    for number in parts:
        if number != TRAIN and (train.fixed_split == number).any():
            name = PART_NAMES[number]
            raise DataError(f"{train.name} has a {name} part of its own; leave out --{name}-data")


def _stacked(sources: Sequence[Source]) -> Source:
    """Return the first source with the rows of all."""
    first = sources[0]
    for source in sources[1:]:
        if (source.frame is None) != (first.frame is None) or source.is_pictures != first.is_pictures:
            raise DataError(
                f"{source.name} holds {_kind(source)}, but {first.name} {_kind(first)}; give both as one kind"
            )
    digests = [source.digest for source in sources]
    pieces = [piece for source in sources for piece in source.pieces or ((source.name, len(source)),)]
    names = [source.row_names for source in sources]
    return replace(
        first,
        digest=hashlib.sha256("\n".join(digests).encode()).hexdigest() if all(digests) else "",
        frame=None if first.frame is None else _frames(sources),
        array=None if first.array is None else _arrays(sources),
        targets=None if first.array is None else _targets(sources),
        row_names=tuple(n for some in names if some for n in some) if all(names) else None,
        pieces=tuple(pieces),
    )


def _kind(source: Source) -> str:
    return "a table" if source.frame is not None else "pictures" if source.is_pictures else "rows of numbers"


def _frames(sources: Sequence[Source]) -> pl.DataFrame | StoredTable:
    """Return tables one below the other, their columns in the order of the first."""
    import polars as pl

    from chainrule.data.stored_table import stacked_tables

    first = sources[0].frame
    assert first is not None
    frames: list[pl.DataFrame | StoredTable] = []
    for source in sources:
        assert source.frame is not None
        _check_columns(source.frame.columns, source.name, first.columns, sources[0].name)
        frames.append(source.frame[first.columns])
        for title, kind in frames[-1].schema.items():
            if _is_text(kind) != _is_text(first.schema[title]) and pl.Null not in (kind, first.schema[title]):
                raise DataError(
                    f"{source.name}: column '{visible(title)}' holds {kind}, but {first.schema[title]} in "
                    f"{sources[0].name}; give files of one kind"
                )
    try:
        return stacked_tables(frames, sources[0].store)
    except pl.exceptions.PolarsError as error:
        names = listed([source.name for source in sources])
        raise DataError(f"the tables {names} do not fit together: {visible(error)}") from error


def _is_text(kind: pl.DataType) -> bool:
    import polars as pl

    return kind in (pl.String, pl.Categorical, pl.Enum)


def _check_columns(columns: list[str], name: str, wanted: list[str], first: str) -> None:
    """Raises: DataError if a file lacks columns that the first file has, or adds some"""
    lacking = [title for title in wanted if title not in set(columns)]
    added = [title for title in columns if title not in set(wanted)]
    if lacking:
        close = nearest(lacking[0], added)
        hint = f"; did '{visible(close[0])}' mean '{visible(lacking[0])}'?" if close else ""
        raise DataError(
            f"{name} lacks the column{'s' * (len(lacking) > 1)} {listed(lacking)} of {first}{hint}"
        )
    if added:
        raise DataError(
            f"{name} has the column{'s' * (len(added) > 1)} {listed(added)}, which {first} has not; "
            "files that are read together have the same columns"
        )


def _arrays(sources: Sequence[Source]) -> np.ndarray | StoredRows:
    arrays = [source.array for source in sources if source.array is not None]
    for source, array in zip(sources, arrays, strict=True):
        if array.shape[1:] != arrays[0].shape[1:]:
            raise DataError(
                f"{source.name} has rows of shape {array.shape[1:]}, but {sources[0].name} has {arrays[0].shape[1:]}; "
                "make them alike"
            )
    return stacked(arrays, sources[0].store)


def _targets(sources: Sequence[Source]) -> np.ndarray | None:
    """Return the targets one below the other; codes of classes are those of the first source."""
    first = sources[0]
    targets = []
    for source in sources:
        if (source.targets is None) != (first.targets is None):
            without, other = (source, first) if source.targets is None else (first, source)
            raise DataError(f"{other.name} has targets, but {without.name} has none")
        if source.targets is None or first.targets is None:
            return None
        is_text = source.targets.dtype.kind == "U", first.targets.dtype.kind == "U"
        if source.targets.shape[1:] != first.targets.shape[1:] or is_text[0] != is_text[1]:
            raise DataError(
                f"{source.name} has targets of shape {source.targets.shape[1:]} and type {source.targets.dtype}, but "
                f"{first.name} has {first.targets.shape[1:]} and {first.targets.dtype}; make them alike"
            )
        targets.append(_recoded(source, first))
    return np.concatenate(targets)


def _recoded(source: Source, first: Source) -> np.ndarray:
    assert source.targets is not None
    if source.class_names == first.class_names:
        return source.targets
    if source.class_names is None or first.class_names is None:
        named, plain = (source, first) if first.class_names is None else (first, source)
        raise DataError(f"{named.name} has named classes, but {plain.name} has numbers; make them alike")
    codes = {name: code for code, name in enumerate(first.class_names)}
    for name in source.class_names:
        if name not in codes:
            close = "".join(f"; did you mean {c!r}?" for c in nearest(name, codes, most=1))
            raise DataError(
                f"{source.name} has the class {visible(name)!r}, which {first.name} has not; it has "
                f"{listed(list(first.class_names))}{close}"
            )
    recoded: np.ndarray = np.array([codes[name] for name in source.class_names], np.int64)[source.targets]
    return recoded


def _notes(sources: Iterable[Source]) -> list[str]:
    """Return what was said about the sources; what holds of several files is said once."""
    said: dict[str, list[str]] = {}
    for source in sources:
        for note in source.notes:
            said.setdefault(note.replace(source.name, "\0"), []).append(note)
    return [notes[0] + (f" (so in {len(notes)} files)" if len(notes) > 1 else "") for notes in said.values()]


def _lacking_classes(parts: Mapping[int, Source]) -> list[str]:
    wanted = parts[TRAIN].class_names or ()
    lacking = {n: [c for c in wanted if c not in (part.class_names or ())] for n, part in parts.items()}
    return [
        f"the {PART_NAMES[n]} data has nothing of: {listed(names)}" for n, names in lacking.items() if names
    ]
