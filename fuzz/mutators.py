"""How inputs are changed: bytes anywhere, and the inside of formats whose checksums would stop a change of bytes.

A mutator takes the content, a generator, and a function that changes bytes: the plain one below in the tests, the
coverage-guided one of libFuzzer in a campaign. What no longer has the structure is changed as bytes.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import sqlite3
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Change = Callable[[bytes], bytes]
Mutator = Callable[[bytes, Random, Change], bytes]

NUMBERS = (
    0,
    1,
    -1,
    2,
    7,
    127,
    128,
    255,
    256,
    32767,
    65535,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**63 - 1,
    2**63,
    2**64,
)
VALUES: tuple[Any, ...] = (
    None, True, False, *NUMBERS, 0.0, -0.5, 1e-320, 1e308, float("nan"), float("inf"), "", "a", "0", "-1", "1e999",
    "\x00", "\ud800", "\x1b[31m", "x" * 5000, "../..", "/", "/dev/null", "builtins:print", "mlp", "regression", "date",
    [], [[]], [0], ["a"], [None], {}, {"a": 1}, [1] * 3000,
)  # fmt: skip


def plain_change(random: Random, tokens: Sequence[bytes]) -> Change:
    """Return a change of bytes that needs no coverage: bits, numbers, copies, cuts, tokens."""

    def change(content: bytes) -> bytes:
        data = bytearray(content)
        for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
            at = random.randrange(len(data) + 1)
            end = min(len(data), at + random.choice((1, 1, 2, 4, 8, 64, 1000)))
            kind = random.randrange(8)
            if kind == 0 and at < len(data):
                data[at] ^= 1 << random.randrange(8)
            elif kind == 1 and at < len(data):
                data[at] = random.randrange(256)
            elif kind == 2:
                width = random.choice((1, 2, 4, 8))
                number = random.choice(NUMBERS) % 256**width
                data[at : at + width] = number.to_bytes(width, random.choice(("little", "big")))
            elif kind == 3:
                del data[at:end]
            elif kind == 4:
                other = random.randrange(len(data) + 1)
                data[other:other] = data[at:end]
            elif kind == 5 and random.random() < 0.3:
                del data[at:]
            elif kind == 6:
                data[at:at] = data[at:end] * random.choice((2, 10, 200))
            elif tokens:
                token = random.choice(tokens)
                data[at : at + random.choice((0, len(token)))] = token
        return bytes(data[: 1 << 20])

    return change


def plain(content: bytes, random: Random, change: Change) -> bytes:
    """Change bytes."""
    return change(content)


def inside(*ways: Mutator) -> Mutator:
    """Change what a container holds, in one of these ways; one input in four as bytes, as is what has no structure."""

    def mutate(content: bytes, random: Random, change: Change) -> bytes:
        if random.random() < 0.25:
            return change(content)
        try:
            return random.choice(ways)(content, random, change)
        except Exception:
            return change(content)

    return mutate


def zipped(content: bytes, random: Random, change: Change) -> bytes:
    """Change one member of a zip archive, or its name, and write the archive anew with the right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = random.randrange(len(members))
    name, inner = members[place]
    if random.random() < 0.1:
        members[place] = (change(name.encode()).decode(errors="replace"), inner)
    elif random.random() < 0.05:
        members.insert(
            random.randrange(len(members)), (name, inner)
        ) if random.random() < 0.5 else members.pop(place)
    else:
        members[place] = (name, change(inner))
    file = io.BytesIO()
    kind = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
        warnings.simplefilter("ignore")  # a name that stands twice is meant
        for name, inner in members:
            archive.writestr(zipfile.ZipInfo(name), inner, kind)
    return file.getvalue()


def skops_schema(content: bytes, random: Random, change: Change) -> bytes:
    """Change one value of the list of parts of a .skops file, or numbers of an array, and write the archive anew."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    arrays = [name for name in members if name.endswith(".npy")]
    if arrays and random.random() < 0.5:
        name = random.choice(arrays)
        members[name] = members[name][:128] + change(members[name][128:])
    else:
        members["schema.json"] = json_value(members["schema.json"], random, change)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, inner in members.items():
            archive.writestr(zipfile.ZipInfo(name), inner)
    return file.getvalue()


def gzipped(content: bytes, random: Random, change: Change) -> bytes:
    """Change what is inside a gzip file."""
    return gzip.compress(change(gzip.decompress(content)), 1, mtime=0)


def png_chunks(content: bytes, random: Random, change: Change) -> bytes:
    """Change one chunk of a PNG, unpacked where it is packed, and give all their right lengths and checksums."""
    chunks = []
    place = 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    number = random.randrange(len(chunks))
    kind, inner = chunks[number]
    if kind == b"IDAT":
        chunks[number] = (kind, zlib.compress(change(zlib.decompress(inner)), 1))
    elif random.random() < 0.1:
        chunks.insert(number, random.choice(chunks))
    else:
        chunks[number] = (kind, change(inner))
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return content[:8] + b"".join(parts)


def json_value(content: bytes, random: Random, change: Change) -> bytes:
    """Change one value of a JSON text: another value, one from elsewhere, none, a key that nobody knows."""
    return json.dumps(changed_value(json.loads(content), random, change)).encode()


def changed_value(value: Any, random: Random, change: Change) -> Any:
    """Return a JSON value with something in it changed."""
    places = list(_places(value))
    if not places:
        return random.choice(VALUES)
    holder, key = random.choice(places)
    kind = random.randrange(10)
    if kind < 5:
        holder[key] = random.choice(VALUES)
    elif kind < 7:
        other, its = random.choice(places)
        holder[key] = json.loads(json.dumps(other[its]))
    elif kind == 7:
        del holder[key]
    elif kind == 8 and isinstance(holder, dict):
        holder[random.choice(("", "unknown", str(key).upper()))] = holder[key]
    elif isinstance(holder[key], str):
        holder[key] = change(holder[key].encode(errors="replace")).decode(errors="replace")
    elif isinstance(holder[key], int | float):
        holder[key] = holder[key] * random.choice((-1, 2, 1000, 1e9, 0.5)) + random.choice((0, 1, -1))
    else:
        holder[key] = random.choice(VALUES)
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    found = [(value, key) for key in keys]
    for key in keys:
        found += _places(value[key])
    return found


def tensors_header(content: bytes, random: Random, change: Change) -> bytes:
    """Change one value in the header of a safetensors file, or its tensors, and give it the right length."""
    header, body = split_tensors(content)
    if random.random() < 0.3:
        body = change(body)
    else:
        header = changed_value(header, random, change)
    return join_tensors(header, body)


def search_rows(content: bytes, random: Random, change: Change) -> bytes:
    """Change some rows or the tables of the store of a search."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as store:
        store.deserialize(content[:18] + b"\1\1" + content[20:])  # one in memory has no write-ahead log
        table, columns = random.choice((
            ("trials", ("number", "settings", "refused")),
            ("networks", ("trial", "fold", "epochs", "rung", "score", "loss", "failure")),
        ))  # fmt: skip
        rows = store.execute(f"SELECT rowid FROM {table}").fetchall()
        column, (row,) = random.choice(columns), random.choice(rows)
        value = random.choice([one for one in VALUES if not isinstance(one, list | dict)])
        if column == "settings" and random.random() < 0.8:
            (text,) = store.execute("SELECT settings FROM trials WHERE rowid = ?", (row,)).fetchone()
            value = json.dumps(changed_value(json.loads(text), random, change))
        if random.random() < 0.1:
            store.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
        else:
            store.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
        changed = store.serialize()
    return changed[:18] + b"\2\2" + changed[20:]


def split_tensors(content: bytes) -> tuple[Any, bytes]:
    """Return header and values of a safetensors file."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join_tensors(header: Any, body: bytes) -> bytes:
    """Put header and values together."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def sealed_checkpoint(content: bytes, random: Random, change: Change) -> bytes:
    """Change the state or a tensor of a checkpoint and make its checksums right, as a stranger who meant it would."""
    header, body = split_tensors(content)
    about = header["__metadata__"]
    if random.random() < 0.6:
        about["state"] = json.dumps(changed_value(json.loads(about["state"]), random, change))
    elif random.random() < 0.5:
        changed_value({k: v for k, v in header.items() if k != "__metadata__"}, random, change)
    else:
        body = change(body)
    sums = {}
    for name, entry in header.items():
        if name != "__metadata__":
            sums[name] = _sum_of(entry, body)
    about["crc32"] = json.dumps(sums)
    about["seal"] = str(zlib.crc32((about["state"] + about["crc32"]).encode()))
    return join_tensors(header, body)


def _sum_of(entry: dict[str, Any], body: bytes) -> int:
    kinds = {
        "F32": "float32",
        "F64": "float64",
        "I64": "int64",
        "BOOL": "bool",
        "U8": "uint8",
        "F16": "float16",
    }
    start, end = entry["data_offsets"]
    kind = zlib.crc32(f"torch.{kinds.get(entry['dtype'], '')} {tuple(entry['shape'])}".encode())
    return zlib.crc32(body[start:end], kind) if end > start else kind
