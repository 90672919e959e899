"""Everything that a user or a stranger can hand over, one entry each: where the bytes go and who opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from fuzz import doors, mutators, seeds
from fuzz.mutators import Mutator

CORPUS = Path(__file__).parent / "corpus"
Write = Callable[[bytes, Path], None]


def nothing(folder: Path) -> None:
    """Put nothing beside the input."""


def into(name: str) -> Write:
    """Write the bytes into one file."""

    def write(content: bytes, folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return write


@dataclass(frozen=True, kw_only=True)
class Format:
    """One kind of input.

    `set_up` puts what belongs beside it into an empty folder, `write` the bytes, `open` does what a user would do.
    `seeds` are whole, valid inputs; the corpus folder of the same name holds what was found, and files from life.
    """

    name: str
    write: Write
    open: Callable[[Path], None]
    seeds: Callable[[], list[bytes]]
    set_up: Callable[[Path], None] = nothing
    mutate: Mutator = mutators.plain
    tokens: tuple[bytes, ...] = ()
    inside: Callable[[Path], None] | None = None  # `open` without the process of its own that a reader has
    is_renewed: bool = False  # whether the folder is made anew after every input
    replaces: str = ""  # what an answer may write anew: a file below this folder

    def in_one_process(self) -> Format:
        """Return the format with all reading in this process: fast, seen by coverage, but a reader may bring it down."""
        return self if self.inside is None else replace(self, open=self.inside)

    def answers(self, names: Iterable[str]) -> list[str]:
        """Return which files an answer may have changed."""
        return [name for name in names if self.replaces and name.startswith(f"{self.replaces}/")]

    def corpus(self) -> list[tuple[str, bytes]]:
        """Return names and contents of the seeds and of the corpus folder."""
        made = [(f"seed {number}", content) for number, content in enumerate(self.seeds())]
        return made + [(path.name, path.read_bytes()) for path in sorted((CORPUS / self.name).glob("*"))]


def into_also(name: str, content: bytes) -> Callable[[Path], None]:
    """Write what stands beside the input."""
    return lambda folder: into(name)(content, folder)


def kept(name: str) -> Callable[[], list[bytes]]:
    """Return the first file of a corpus folder: a seed that only another program writes."""
    return lambda: [min((CORPUS / name).iterdir()).read_bytes()]


PICKLE_TOKENS = (
    b"cos\nsystem\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"(", b"t", b"R", b"b", b"}", b"]", b"u",
    b"e", b"s", b"a", b"U\x04data", b"X\x04\0\0\0data", b"q\xff", b"h\xff", b"K\xff", b"J\xff\xff\xff\xff", b"\x8a\x08", b".",
)  # fmt: skip
TABLE_TOKENS = (
    b",", b";", b"\t", b"|", b"\n", b"\r", b"\r\n", b'"', b'""', b"'", b"\xef\xbb\xbf", b"\xff\xfe", b"\0", b"\x80",
    b"nan", b"inf", b"-inf", b"1e999", b"NA", b"null", b"true", b"False", b"12,5", b"1.234,56", b"1,234.5", b"50 %",
    b"$ 3.20", "3 €".encode(), b"2024-02-30", b"2024-01-01T10:00:00+02:00", b"31.12.1999", b"12/31/99", b"25:61",
    b"=1+1", b"^a$", b"*", b"sep=;", "Ä".encode("cp1252"), "ß".encode("utf-16-le"), b"target", b"\x1b[31m", b"0" * 400,
    b"cat/1.png", b"-", b"+", b"999999999999999999999", b"0001-01-01", b"9999-12-31",
)  # fmt: skip
SETTING_TOKENS = (
    b"=", b",", b"\n", b"hidden=", b"activation=", b"epochs=", b"none", b"auto", b"1e400", b"nan", b"-1", b"true",
    b"split=time:", b"split=group:", b"columns=a=number", b"memory=", b"1GB", b"decimal=", b"encoding=", b"model=",
    b"schedule=", b"optimizer=", b"scaling=", b"metric=", b"class_weight=", b"picture_size=", b"seed=", b"loss=",
    b"validation=", b"test=", b"dropout=", b"0.999999", b"1e-300", b"99999999999999999999",
)  # fmt: skip
PICTURE_TOKENS = (
    b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"iCCP", b"eXIf", b"zTXt", b"IEND", b"\xff\xd8", b"\xff\xc0",
    b"\xff\xc2", b"\xff\xda", b"\xff\xd9", b"\xff\xe1", b"Exif\0\0", b"MM\0*", b"II*\0", b"RIFF", b"WEBP", b"VP8 ",
    b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"GIF89a", b"!\xff\x0bNETSCAPE2.0", b"BM", b"ftypheic", b"\xff\xff\xff\xff",
)  # fmt: skip


def _picture(kind: str, ending: str, mutate: Mutator = mutators.plain) -> Format:
    return Format(
        name=kind,
        write=into(f"pets/cat/1.{ending}"),
        open=doors.open_pictures,
        seeds=lambda: seeds.pictures(kind),
        set_up=lambda folder: into("pets/dog/1.png")(seeds.pictures("png")[0], folder),
        mutate=mutate,
        tokens=PICTURE_TOKENS,
    )


def _of_run(name: str, mutate: Mutator) -> Format:
    return Format(
        name=name.partition(".")[0],
        write=lambda content, folder: into(f"runs/run/{name}")(seeds.at_home(content, folder), folder),
        open=doors.open_run,
        seeds=lambda: seeds.of_run(name),
        set_up=seeds.place_run,
        mutate=mutate,
    )


def _of_search(name: str, file: str, mutate: Mutator) -> Format:
    return Format(
        name=name,
        write=lambda content, folder: seeds.write_search_file(file, content, folder),
        open=doors.open_search,
        seeds=lambda: seeds.of_search(file),
        set_up=seeds.place_search,
        mutate=mutate,
        replaces="runs/run/search",
    )


_ALL = (
    Format(name="csv", write=into("rows.csv"), open=doors.fit_table, seeds=seeds.csv_tables, tokens=TABLE_TOKENS),
    Format(name="tsv", write=into("rows.tsv"), open=doors.fit_table, seeds=seeds.tsv_tables, tokens=TABLE_TOKENS),
    Format(name="json", write=into("rows.json"), open=doors.fit_table, seeds=seeds.json_tables, mutate=mutators.inside(mutators.json_value), tokens=TABLE_TOKENS),
    Format(name="jsonl", write=into("rows.jsonl"), open=doors.fit_table, seeds=seeds.line_tables, tokens=TABLE_TOKENS),
    Format(name="gz", write=into("rows.csv.gz"), open=doors.fit_table, seeds=lambda: [seeds.packed()[0]], mutate=mutators.inside(mutators.gzipped), tokens=TABLE_TOKENS),
    Format(name="zip", write=into("rows.zip"), open=doors.fit_table, seeds=lambda: seeds.packed()[1:], mutate=mutators.inside(mutators.zipped), tokens=TABLE_TOKENS),
    Format(
        name="rows", write=into("new.csv"), open=doors.predict_rows, seeds=lambda: [seeds.TABLE.encode()],
        set_up=seeds.place_run, tokens=TABLE_TOKENS,
    ),
    Format(
        name="xlsx", write=into("rows.xlsx"), open=doors.fit_table, inside=doors.fit_table_here, seeds=seeds.workbooks,
        mutate=mutators.inside(mutators.zipped), tokens=(*TABLE_TOKENS, *seeds.WORKBOOK_TOKENS),
    ),
    Format(name="parquet", write=into("rows.parquet"), open=doors.fit_table, inside=doors.fit_table_here, seeds=seeds.parquet_tables, tokens=(b"PAR1",)),
    Format(
        name="npz", write=into("rows.npz"), open=doors.fit_arrays, seeds=seeds.npz_files,
        mutate=mutators.inside(mutators.zipped), tokens=seeds.NPY_TOKENS,
    ),
    Format(
        name="idx", write=into("train-images-idx3-ubyte"), open=doors.fit_idx, seeds=lambda: seeds.idx_files()[0],
        set_up=lambda folder: into("train-labels-idx1-ubyte")(seeds.idx_files()[1][0], folder),
        mutate=mutators.inside(mutators.plain, mutators.gzipped),
    ),
    Format(
        name="idx-labels", write=into("train-labels-idx1-ubyte"), open=doors.fit_idx, seeds=lambda: seeds.idx_files()[1],
        set_up=lambda folder: into("train-images-idx3-ubyte")(seeds.idx_files()[0][0], folder),
        mutate=mutators.inside(mutators.plain, mutators.gzipped),
    ),
    Format(
        name="cifar-binary", write=into("data_batch_1.bin"), open=doors.fit_idx, seeds=seeds.cifar_batches,
        set_up=into_also("batches.meta.txt", seeds.CIFAR_NAMES),
    ),
    Format(
        name="cifar-python", write=into("data_batch_1"), open=doors.fit_idx, seeds=kept("cifar-python"),
        set_up=lambda folder: into("batches.meta")(kept("cifar-meta")()[0], folder), tokens=PICKLE_TOKENS,
    ),
    Format(
        name="cifar-meta", write=into("batches.meta"), open=doors.fit_idx, seeds=kept("cifar-meta"),
        set_up=lambda folder: into("data_batch_1")(kept("cifar-python")()[0], folder), tokens=PICKLE_TOKENS,
    ),
    Format(
        name="cifar-tar", write=into("cifar-10-binary.tar.gz"), open=doors.fit_cifar, seeds=seeds.cifar_archives,
        mutate=mutators.inside(mutators.gzipped),
    ),
    _picture("png", "png", mutators.inside(mutators.png_chunks)),
    *(_picture(kind, ending) for kind, ending in (
        ("jpeg", "jpg"), ("webp", "webp"), ("gif", "gif"), ("tiff", "tif"), ("bmp", "bmp"), ("heic", "heic"), ("avif", "avif"),
    )),
    Format(
        name="names", write=seeds.write_names, open=doors.open_pictures, seeds=seeds.names, is_renewed=True,
        tokens=(b"/", b"\n", b".png", b".jpg", b"train/", b"Test/", b"val/", b"\x1b[31m", b"\xff", b".", b"__MACOSX/", b" ", "é".encode()),
    ),
    Format(
        name="cache", write=seeds.write_cache, open=doors.open_cached, seeds=seeds.caches, set_up=seeds.place_pictures,
        mutate=mutators.inside(mutators.tensors_header), is_renewed=True, replaces=".cache",
    ),
    Format(name="settings", write=into("settings.txt"), open=doors.use_settings, seeds=seeds.settings_texts, tokens=SETTING_TOKENS),
    _of_run("recipe.json", mutators.inside(mutators.json_value)),
    _of_run("metrics.json", mutators.inside(mutators.json_value)),
    _of_search("search", "search.json", mutators.inside(mutators.json_value)),
    _of_search("search-store", "search.sqlite", mutators.inside(mutators.search_rows)),
    Format(name="estimator", write=into("model.skops"), open=doors.open_estimator, seeds=seeds.estimators, mutate=mutators.inside(mutators.zipped, mutators.skops_schema)),
    _of_run("checkpoint.safetensors", mutators.inside(mutators.sealed_checkpoint, mutators.sealed_checkpoint, mutators.tensors_header)),
)  # fmt: skip

FORMATS = {format.name: format for format in _ALL}
