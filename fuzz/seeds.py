"""Whole, valid inputs of every format, small, and what stands beside them."""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import json
import os
import struct
import tarfile
import tempfile
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image, features

from fuzz.mutators import join_tensors, split_tensors

HOME = b"/FOLDER"  # stands in a recipe for the folder in which the run is opened
TABLE = "day,size,city,weight,is_new,price,kind\n" + "".join(
    f"2024-{1 + i % 12:02}-{1 + i % 28:02},{i % 7 + 0.5},{('Rome', 'Bonn', '')[i % 3]},"
    f"{'n/a' if i == 5 else i * 3},{('yes', 'no')[i % 2]},{i * i % 11},{('a', 'b', 'b')[i % 3]}\n"
    for i in range(36)
)
_MONEY = "when;amount;share;text;target\n" + "".join(
    f'{1 + i % 28:02}.{1 + i % 12:02}.2023 1{i % 10}:30;1.{i:03},50;{i},5 %;"so ""called""\n{i}";{i % 4}\n'
    for i in range(24)
)


def csv_tables() -> list[bytes]:
    """Tables as text: plain, German, quoted, in other encodings, irregular."""
    plain = TABLE.encode()
    return [
        plain,
        _MONEY.encode(),
        ("sep=;\r\n" + TABLE.replace(",", ";").replace("\n", "\r\n")).encode("utf-16"),
        TABLE.replace("Rome", "Köln").encode("cp1252"),
        b"\xef\xbb\xbf" + plain.replace(b"Rome", b'"Ro,me"'),
        b"a,b\n1,2\n3\n\n5,6,\n" * 3,
        b"id,picture,note,y\n" + b"".join(b"u-%d,cat/%d.png,a longer text of some words %d,%d\n" % (i, i, i, i % 2) for i in range(30)),
        b"x,y\n" + b"".join(b"$ 1,%03d.50,%d\n" % (i, i) for i in range(20)),
    ]  # fmt: skip


def tsv_tables() -> list[bytes]:
    """Tables separated by tabs."""
    return [TABLE.replace(",", "\t").encode(), TABLE.replace(",", "|").encode(), b"a\tb\tc\n1\t2\t3\n" * 9]


def json_tables() -> list[bytes]:
    """Tables as JSON: rows, columns, nested."""
    rows = pl.read_csv(TABLE.encode()).head(12).to_dicts()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    nested = [{"a": {"b": row["size"], "c": [1, 2]}, "kind": row["kind"]} for row in rows]
    return [json.dumps(value).encode() for value in (rows, columns, nested, {"data": rows})]


def line_tables() -> list[bytes]:
    """Tables as JSON lines."""
    return [b"\n".join(json.dumps(row).encode() for row in json.loads(json_tables()[0]))]


def packed() -> list[bytes]:
    """A text table in gzip, and in zip archives, alone and beside another file."""
    found = [gzip.compress(TABLE.encode(), mtime=0)]
    for names in (["rows.csv"], ["__MACOSX/x", "data/rows.tsv", "readme.md"]):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(name), TABLE)
        found.append(file.getvalue())
    return found


def parquet_tables() -> list[bytes]:
    """Tables of every column type, with each compression."""
    table = pl.read_csv(TABLE.encode(), try_parse_dates=True)
    rich = table.with_columns(
        pl.col("city").cast(pl.Categorical).alias("group"), pl.col("price").cast(pl.Decimal(9, 2)).alias("money"),
        pl.col("day").cast(pl.Datetime("us", "UTC")).alias("time"), pl.concat_list("size", "price").alias("pair"),
        pl.struct("size", "city").alias("both"), pl.col("price").cast(pl.UInt8).alias("byte"),
    )  # fmt: skip
    found = []
    for frame, compression in (
        (table, "uncompressed"),
        (table, "snappy"),
        (rich, "uncompressed"),
        (rich, "zstd"),
        (table, "gzip"),
    ):
        file = io.BytesIO()
        frame.write_parquet(file, compression=compression)  # type: ignore[arg-type]
        found.append(file.getvalue())
    return found


NPY_TOKENS = (
    b"\x93NUMPY",
    b"\x01\0",
    b"\x03\0",
    b"'descr'",
    b"'<f8'",
    b"'|O'",
    b"'<U3'",
    b"'<M8[ns]'",
    b"'>i4'",
    b"(-1,)",
    b"(0, 5)",
    b"True",
    b"(9999999999,)",
)


def npz_files() -> list[bytes]:
    """Archives of arrays: rows, pictures, text, splits, complex numbers."""
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    y = np.arange(20) % 3
    picture = (np.arange(20 * 64) % 251).astype(np.uint8).reshape(20, 8, 8)
    sets: list[dict[str, Any]] = [
        {"x": x, "y": y}, {"images": picture, "labels": y.astype("U2")}, {"data": np.asfortranarray(x), "target": x[:, :2]},
        {"x_train": x, "y_train": y, "x_test": x[:6], "y_test": y[:6], "more": y}, {"arr_0": x, "arr_1": y > 0},
    ]  # fmt: skip
    found = []
    for arrays, save in zip(sets, (np.savez, np.savez_compressed) * 3, strict=False):
        file = io.BytesIO()
        save(file, **arrays)
        found.append(file.getvalue())
    return found


@functools.cache
def idx_files() -> tuple[list[bytes], list[bytes]]:
    """MNIST's format: images and labels, plain and compressed."""
    pixels = (np.arange(20 * 36) % 256).astype(np.uint8).tobytes()
    images = b"\0\0\x08\x03" + struct.pack(">III", 20, 6, 6) + pixels
    numbers = b"\0\0\x0d\x02" + struct.pack(">II", 20, 3) + np.arange(60, dtype=">f4").tobytes()
    labels = b"\0\0\x08\x01" + struct.pack(">I", 20) + bytes(i % 3 for i in range(20))
    return [images, gzip.compress(images, mtime=0), numbers], [labels, gzip.compress(labels, mtime=0)]


CIFAR_NAMES = b"cat\ndog\nox\n"


def cifar_batches() -> list[bytes]:
    """Six pictures as CIFAR's authors write them in binary."""
    pixels = (np.arange(6 * 3072) % 253).astype(np.uint8).reshape(6, 3072)
    return [np.column_stack([np.arange(6, dtype=np.uint8) % 3, pixels]).tobytes()]


def cifar_archives() -> list[bytes]:
    """The same, as it is downloaded."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in (("batches.meta.txt", CIFAR_NAMES), ("data_batch_1.bin", cifar_batches()[0])):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return [gzip.compress(file.getvalue(), mtime=0)]


@functools.cache
def pictures(kind: str) -> list[bytes]:
    """Small pictures in the ways that a format has: modes, palettes, 16 bits, EXIF, several frames."""
    noise = np.random.default_rng(1).integers(0, 256, (5, 4, 3), np.uint8)
    plain = Image.fromarray(noise).resize((16, 20), Image.Resampling.NEAREST)
    exif = Image.Exif()
    exif[0x0112] = 6
    several = {"save_all": True, "append_images": [plain.rotate(90), plain.rotate(180)]}
    modes = {
        "png": "RGB L LA P RGBA 1 I;16",
        "gif": "P L",
        "tiff": "RGB L CMYK 1 F RGBA LAB",
        "bmp": "RGB P 1",
        "jpeg": "RGB L CMYK",
    }
    ways: list[tuple[Image.Image, dict[str, Any]]] = [
        (plain.convert("I").convert(mode) if mode == "I;16" else plain.convert(mode), {}) for mode in modes.get(kind, "RGB").split()
    ]  # fmt: skip
    if kind in ("png", "jpeg", "webp", "tiff"):
        ways.append((plain, {"exif": exif}))
    if kind in ("png", "gif", "webp", "tiff"):
        ways.append((plain, several))
    ways += {
        "jpeg": [(plain, {"progressive": True}), (plain, {"quality": 95, "subsampling": 0, "icc_profile": b"no profile"})],
        "webp": [(plain.convert("RGBA"), {"lossless": True})],
        "tiff": [(plain, {"compression": c}) for c in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")],
    }.get(kind, [])  # fmt: skip
    if kind == "avif" and not features.check("avif"):
        return [b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"]
    if kind == "heic":
        try:
            import pillow_heif
        except ImportError:  # the extra is not installed: the reader refuses the format by its beginning
            return [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"]
        file = io.BytesIO()
        pillow_heif.from_pillow(plain).save(file)
        return [file.getvalue()]
    return [_saved(picture, kind, options) for picture, options in ways]


def _saved(picture: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind.upper(), **options)
    return file.getvalue()


def names() -> list[bytes]:
    """Names of files below a folder of pictures, one a line."""
    return [
        b"cat/1.png\ncat/2.png\ndog/1.png\ndog/2.png",
        b"train/cat/1.png\ntrain/dog/1.png\ntest/cat/1.png\nval/dog/2.png\nreadme.txt",
        "Käse/ä.png\nWeiß/ö.PNG\n.hidden/x.png\n__MACOSX/y.png\n1.png".encode(),
        b"a/b/c/1.png\na/2.png\nb\xff/3.png\n c /4.png",
    ]


def write_names(content: bytes, folder: Path) -> None:
    """Make the files that the lines name; a line that begins with @ is a link to the first file."""
    root = os.fsencode(folder / "pets")
    os.makedirs(root, exist_ok=True)
    for line in content[:4000].split(b"\n")[:40]:
        parts = [part for part in line.lstrip(b"@").split(b"/") if part not in (b"", b".", b"..")]
        if not parts:
            continue
        path = os.path.join(root, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if line.startswith(b"@"):
            os.symlink(root, path)
        else:
            Path(os.fsdecode(path)).write_bytes(pictures("png")[len(path) % 3])


def place_pictures(folder: Path) -> None:
    """Put a folder of two pictures, and its cache, where an input of the cache finds them."""
    from chainrule.data.read import read
    from chainrule.data.reading import Reading

    for number, name in enumerate(("cat", "dog")):
        path = folder / "pets" / name / "1.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures("png")[number])
    read(folder / "pets", Reading(cache=folder / ".cache"))


@functools.cache
def caches() -> list[bytes]:
    """The cache of that folder, with names for its key and its checksum, which depend on where it stands."""
    with tempfile.TemporaryDirectory() as folder:
        place_pictures(Path(folder))
        header, body = split_tensors(next(Path(folder, ".cache").glob("*")).read_bytes())
    header["__metadata__"] |= {"key": "right", "checksum": "right"}
    return [join_tensors(header, body)]


def write_cache(content: bytes, folder: Path) -> None:
    """Write the cache with the key of this folder, and with the checksum of what it now holds."""
    path = next((folder / ".cache").glob("*"))
    key = split_tensors(path.read_bytes())[0]["__metadata__"]["key"]
    try:
        header, body = split_tensors(content)
        about, tensor = header["__metadata__"], header["pictures"]
        if about["key"] == "right":
            about["key"] = key
        if about["checksum"] == "right":
            kind = {"U8": "uint8", "I8": "int8", "F32": "float32", "I64": "int64", "U16": "uint16"}[
                tensor["dtype"]
            ]
            start, end = tensor["data_offsets"]
            hasher = hashlib.sha256(f"{kind}{tuple(tensor['shape'])}{about['key']}{about['notes']}".encode())
            hasher.update(body[start:end])
            about["checksum"] = hasher.hexdigest()
        content = join_tensors(header, body)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    path.write_bytes(content)


def settings_texts() -> list[bytes]:
    """What stands behind --set, one a line."""
    return [
        b"epochs=5\nbatch_size=32\nhidden=64,32\nactivation=relu,tanh\ndropout=0.1",
        b"optimizer=sgd\nschedule=cosine\nlearning-rate=1e-2\nweight_decay=1e-4\nclip_norm=1\nseed=3\nscaling=range",
        b"patience=none\nvalidation=0\ntest=0.3\ndecay_with_loss=true\nloss=mae\ntask=regression",
        b"split=random\nmetric=mae\nmemory=1GB\ndecimal=,\nencoding=cp1252\ncolumns=a=number,b=ignore",
    ]  # fmt: skip


@functools.cache
def _run_files() -> dict[str, bytes]:
    """Train a small network once and return the files of its folder; its recipe names HOME as the place of the data."""
    import chainrule as cr

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        (folder / "rows.csv").write_text(TABLE, "utf-8")
        run = cr.fit(
            folder / "rows.csv", target="kind", epochs=2, model="mlp", model_settings={"hidden": (4,)},
            optimizer="adam", runs=folder / "runs", name="run", quiet=True,
        )  # fmt: skip
        files = {
            p.name: p.read_bytes()
            for p in run.path.iterdir()
            if p.suffix in (".json", ".safetensors", ".csv")
        }
        return {name: content.replace(os.fsencode(folder), HOME) for name, content in files.items()}


def of_run(name: str) -> list[bytes]:
    """Return a file of the run folder."""
    return [_run_files()[name]]


def at_home(content: bytes, folder: Path) -> bytes:
    """Put the folder's own path where HOME stands."""
    return content.replace(HOME, os.fsencode(folder.resolve())) if content[:1] == b"{" else content


def place_run(folder: Path) -> None:
    """Put a finished run, its data and the lock of its training into a folder."""
    (folder / "rows.csv").write_text(TABLE, "utf-8")
    path = folder / "runs" / "run"
    path.mkdir(parents=True)
    for name, content in _run_files().items():
        (path / name).write_bytes(at_home(content, folder))


@functools.cache
def _search_files() -> dict[str, bytes]:
    """Make a small search and return the files that it is taken up from."""
    from chainrule.jobs.folder import RunFolder
    from chainrule.jobs.request import Request
    from chainrule.jobs.search_folder import SearchFolder
    from chainrule.jobs.search_request import SearchRequest
    from chainrule.jobs.tune import run_tune
    from chainrule.train.settings import Settings

    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        (folder / "rows.csv").write_text(TABLE, "utf-8")
        asked = Request(
            data=folder / "rows.csv", target="kind", settings=Settings(model="mlp", epochs=1), model_settings={"hidden": (4,)},
            runs=folder / "runs", name="run",
        )  # fmt: skip
        space = {"learning_rate": [0.01, 0.001], "optimizer": ["adam", "sgd"]}
        with contextlib.closing(
            run_tune(SearchRequest(fit=asked, space=space, method="grid", folds=2))
        ) as events:
            for event in events:
                if getattr(event, "text", "").startswith("training the best"):  # all trials are made
                    break
        found = SearchFolder(RunFolder(folder / "runs/run"))
        files = {path.name: path.read_bytes() for path in (found.asked, found.store)}
        return {name: content.replace(os.fsencode(folder), HOME) for name, content in files.items()}


def of_search(name: str) -> list[bytes]:
    """Return a file of the folder of a search."""
    return [_search_files()[name]]


def place_search(folder: Path) -> None:
    """Put a search and its data into a folder."""
    (folder / "rows.csv").write_text(TABLE, "utf-8")
    write_search(_search_files(), folder)


def write_search(files: dict[str, bytes], folder: Path) -> None:
    """Write what was asked and the trials, which carry its seal, as a stranger who meant it would give them."""
    path = folder / "runs" / "run" / "search"
    path.mkdir(parents=True, exist_ok=True)
    asked, store = at_home(files["search.json"], folder), bytearray(files["search.sqlite"])
    if len(store) >= 64:
        store[60:64] = (zlib.crc32(asked) & 0x7FFFFFFF).to_bytes(4, "big")
    (path / "search.json").write_bytes(asked)
    (path / "search.sqlite").write_bytes(store)


def write_search_file(name: str, content: bytes, folder: Path) -> None:
    """Write one of the two files of a search, beside the other as it was."""
    write_search({**_search_files(), name: content}, folder)


ESTIMATORS: dict[str, dict[str, Any]] = {
    "decision-tree": {},
    "kernel-svm": {},
    "gradient-boosting": {"trees": 3},
    "nearest-neighbours": {},
    "random-forest": {"trees": 2},
    "lightgbm": {"trees": 2, "smallest_leaf": 5},
}


@functools.cache
def fitted() -> dict[str, tuple[Any, bytes]]:
    """Fit some classical models; return the recipe of each and the .skops file of its estimator."""
    from chainrule.data.read import read
    from chainrule.data.reading import Reading
    from chainrule.jobs.classical import make_fitting
    from chainrule.jobs.preparation import prepare_run
    from chainrule.jobs.request import Request
    from chainrule.train.estimator_file import estimator_bytes
    from chainrule.train.settings import Settings

    found = {}
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "rows.csv"
        path.write_text(TABLE, "utf-8")
        for name, own in ESTIMATORS.items():
            if name == "lightgbm" and find_spec(name) is None:  # the extra is not installed
                continue
            asked = Request(data=path, target="kind", settings=Settings(model=name), model_settings=own)
            recipe, material = prepare_run(asked, read(path, Reading(target="kind")))
            fitting = make_fitting(recipe, material)
            for _ in fitting.reports():
                pass
            found[name] = recipe, estimator_bytes(fitting.model.estimator)
    return found


def estimators() -> list[bytes]:
    """Return the .skops files of some classical models."""
    return [content for _, content in fitted().values()]


WORKBOOK_TOKENS = (
    b"<row",
    b"<c ",
    b't="s"',
    b't="d"',
    b't="e"',
    b"<v>",
    b"</v>",
    b'r="XFD1048576"',
    b"<f>",
    b"&#0;",
    b"<!ENTITY",
    b'state="hidden"',
    b"#DIV/0!",
)


def workbooks() -> list[bytes]:
    """Excel workbooks: one of plain cells, one with shared texts, dates and a second sheet."""
    rows = [line.split(",") for line in TABLE.splitlines()[:20]]
    cells = "".join(
        f'<row r="{r + 1}">' + "".join(
            f'<c r="{chr(65 + c)}{r + 1}"><v>{text}</v></c>' if text.replace(".", "").isdigit()
            else f'<c r="{chr(65 + c)}{r + 1}" t="inlineStr"><is><t>{text}</t></is></c>'
            for c, text in enumerate(row)
        ) + "</row>"
        for r, row in enumerate(rows)
    )  # fmt: skip
    shared = "".join(
        f'<row r="{r}"><c r="A{r}" t="s"><v>{0 if r == 1 else 2 + r % 2}</v></c><c r="B{r}" '
        + ('t="s"><v>1</v>' if r == 1 else f's="1"><v>{45000 + r}</v>') + "</c></row>"
        for r in range(1, 14)
    )  # fmt: skip
    return [_workbook([cells]), _workbook([shared, cells])]


def _workbook(sheets: list[str]) -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    of_office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    packages = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    numbers = range(1, len(sheets) + 1)
    listed = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{of_office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    links += f'<Relationship Id="rId98" Type="{of_office}/styles" Target="styles.xml"/>'
    links += f'<Relationship Id="rId99" Type="{of_office}/sharedStrings" Target="sharedStrings.xml"/>'
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
        for n in numbers
    )
    members = {
        "[Content_Types].xml": f'<Types xmlns="{packages}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{kinds}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{packages}/relationships"><Relationship Id="rId1" Type="{of_office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{of_office}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{packages}/relationships">{links}</Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{main}"><si><t>kind</t></si><si><t>day</t></si><si><t>a</t></si><si><r><t>b</t></r></si></sst>',
        **{f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>' for n, rows in zip(numbers, sheets, strict=True)},
    }  # fmt: skip
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(
                zipfile.ZipInfo(name), f'<?xml version="1.0" encoding="UTF-8"?>{text}', zipfile.ZIP_DEFLATED
            )
    return file.getvalue()
