"""Claim: data is ready within seconds, and data larger than memory trains in little of it.

Command:  python benchmarks/reading.py csv|pictures|memory [--times N] [--rows N] [--gigabytes X] [--kinds npz,csv,…]
          [--folder F]                                                                             (Linux)
Work:     csv       1,000,000 rows × 20 columns: 12 of numbers, 4 categories, 2 of truth values, 2 of dates. Read, inferred,
                    split, prepared (`read` and `prepare_run`), beside polars' bare `read_csv`, in turn
          pictures  10,000 JPEGs of 64 × 64 in ten class folders: decoded, then from the cache
          memory    sets of 4 GB (the file; for pictures their pixels) with --memory 1GB: one epoch of `fit`, report and all
Figures:  every measurement in a process of its own. Seconds from the call to its end, imports done before. Memory: the
          highest resident set of that process (VmHWM, mapped pages with it) less what was resident after the imports;
          for pictures also the largest worker process.
Expected: csv <= 6 s and <= 3 × the prepared float32 array + 500 MB; pictures <= 30 s, from the cache <= 2 s, until the data
          is ready; memory <= 1 GB for every kind.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import record

KINDS = ("npz", "csv", "parquet", "pictures")
ROWS, PICTURES, SIDE = 1_000_000, 10_000, 64
COLUMNS = 100  # of the tables and arrays that are larger than memory


# ---- what is read


def write_mixed_csv(path: Path, rows: int) -> None:
    """Write 20 columns as they come in tables: numbers with gaps, categories, truth values, dates, the target last."""
    import numpy as np
    import polars as pl

    random = np.random.default_rng(0)
    columns: dict[str, Any] = {
        f"amount {i}": (random.normal(size=rows) * 10**i).round(4) for i in range(7)
    } | {f"count {i}": random.integers(0, 10_000, rows) for i in range(4)}
    for name, size in (("colour", 3), ("city", 12), ("product", 60), ("district", 100)):
        names = np.array([f"{name} {i}" for i in range(size)])
        columns[name] = names[random.integers(0, size, rows)]
    for name in ("is new", "is paid"):
        columns[name] = np.array(["yes", "no"])[random.integers(0, 2, rows)]
    for name in ("ordered", "sent"):
        columns[name] = np.datetime64("2015-01-01") + random.integers(0, 3000, rows).astype("timedelta64[D]")
    columns["price"] = (2 * columns["amount 0"] + random.normal(size=rows)).round(4)
    columns["amount 1"][random.random(rows) < 0.05] = np.nan
    pl.DataFrame(columns, nan_to_null=True).write_csv(path)


def write_large(kind: str, place: Path, total_bytes: int) -> Path:
    """Write a set of about so many bytes, some at a time; return its path."""
    return {"npz": _large_npz, "csv": _large_csv, "parquet": _large_parquet, "pictures": _large_pictures}[
        kind
    ](place, total_bytes)


def _parts(rows: int, at_once: int = 50_000) -> Any:
    import numpy as np

    for part, start in enumerate(range(0, rows, at_once)):
        random = np.random.default_rng(part)
        x = random.normal(size=(min(at_once, rows - start), COLUMNS)).astype(np.float32)
        yield x, (x[:, 0] + x[:, 1] > 0).astype(np.int64)


def _large_npz(place: Path, total_bytes: int) -> Path:
    import zipfile

    import numpy as np

    rows, answers = total_bytes // (4 * COLUMNS), []
    path = place / "large.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as file:
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)}
            np.lib.format.write_array_header_1_0(file, header)
            for x, y in _parts(rows):
                file.write(x.tobytes())
                answers.append(y)
        with archive.open("y.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array(file, np.concatenate(answers))
    return path


def _frames(rows: int) -> Any:
    import polars as pl

    for x, y in _parts(rows):
        yield pl.DataFrame({**{f"n{i}": x[:, i].round(5) for i in range(COLUMNS)}, "target": y})


def _large_csv(place: Path, total_bytes: int) -> Path:
    path, rows = place / "large.csv", total_bytes // 870
    with path.open("wb") as file:
        for part, frame in enumerate(_frames(rows)):
            frame.write_csv(file, include_header=not part)
    return path


def _large_parquet(place: Path, total_bytes: int) -> Path:
    import polars as pl

    path, rows = place / "large.parquet", total_bytes // (4 * COLUMNS)
    parts = place / "parts"
    parts.mkdir()
    for part, frame in enumerate(_frames(rows)):
        frame.write_parquet(parts / f"{part:06}.parquet", compression="uncompressed")
    pl.scan_parquet(parts / "*.parquet").sink_parquet(path, compression="uncompressed")
    shutil.rmtree(parts)
    return path


def _large_pictures(place: Path, total_bytes: int) -> Path:
    return write_pictures(place / "large", total_bytes // (3 * 128 * 128), 128)


def write_pictures(folder: Path, count: int, side: int) -> Path:
    """Write JPEGs of noise with a colour per class, in ten class folders."""
    import io

    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for label in range(10):
        below = folder / f"class {label}"
        below.mkdir(parents=True)
        for number in range(label, count, 10):
            pixels = random.integers(0, 60, (side // 8, side // 8, 3)) + 19 * label
            picture = Image.fromarray(pixels.astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
            content = io.BytesIO()
            picture.save(content, "JPEG", quality=85)
            (below / f"{number}.jpg").write_bytes(content.getvalue())
    return folder


# ---- measured, each in a process of its own


def _memory(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def child(work: str, path: Path, runs: Path) -> dict[str, Any]:
    """Do one piece of work after its imports; return seconds, bytes above the imports, and what it has to say."""
    import polars as pl
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401 - as `fit` loads it for the yardsticks

    import chainrule.jobs.fit as job
    from chainrule.data.read import read
    from chainrule.jobs.material import reading_of
    from chainrule.train.settings import Settings

    def ready() -> dict[str, Any]:
        request = job.Request(data=path, settings=Settings(), runs=runs)
        source = read(path, reading_of(request.settings, None, cache=runs / ".cache"))
        _, material = job.prepare_run(request, source)
        return {"float32 bytes": 4 * material.inputs.shape[0] * material.inputs[0].numel()}

    def fitted() -> dict[str, Any]:
        run = job.fit(path, memory="1GB", epochs=1, runs=runs, quiet=True)
        return {"fit seconds": run.record["fit_seconds"], "rows": run.record["rows"]}

    works: dict[str, Callable[[], dict[str, Any]]] = {
        "ready": ready,
        "polars": lambda: {"rows": pl.read_csv(path).height},
        "fitted": fitted,
    }
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident set starts anew
    before, began = _memory("VmRSS"), time.perf_counter()
    said = works[work]()
    seconds = time.perf_counter() - began
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {"seconds": seconds, "bytes": _memory("VmHWM") - before, "largest worker": workers, **said}


def measured(work: str, path: Path, runs: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", work, str(path), str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def written(write: Callable[[], Any]) -> None:
    """Write data in a process of its own: this one stays small, and its memory is not a child's least."""
    pid = os.fork()
    if not pid:
        try:
            write()
            os._exit(0)
        except BaseException as error:
            print(f"could not write: {error!r}", file=sys.stderr)
            os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit("the data could not be written")


def show(name: str, seconds: float, bytes_: float, goal: str, passes: bool) -> None:
    print(
        f"{name:22} {seconds:7.2f} s  {bytes_ / 1e6:7.0f} MB above imports  {goal}: {'pass' if passes else 'FAIL'}"
    )


# ---- the three claims


def csv_claim(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    path = folder / "mixed.csv"
    written(lambda: write_mixed_csv(path, arguments.rows))
    sides: dict[str, list[dict[str, Any]]] = {"ready": [], "polars": []}
    for turn in range(arguments.times + 1):
        for work, found in sides.items():
            one = measured(work, path, folder / "runs")
            if turn:  # the first warms the system's cache
                found.append(one)
    ours, theirs = sides["ready"], sides["polars"]
    seconds, bare = (statistics.median(one["seconds"] for one in side) for side in (ours, theirs))
    taken, array = (statistics.median(one[key] for one in ours) for key in ("bytes", "float32 bytes"))
    most = 3 * array + 500e6
    show(
        "csv, ready to train",
        seconds,
        taken,
        f"<= 6 s, <= {most / 1e6:.0f} MB",
        seconds <= 6 and taken <= most,
    )
    print(
        f"{'polars read_csv':22} {bare:7.2f} s; ratio {seconds / bare:.2f}; the float32 array is {array / 1e6:.0f} MB"
    )
    return {
        "rows": arguments.rows,
        "file": path.stat().st_size,
        "ready": ours,
        "polars": theirs,
        "most bytes": most,
    }


def pictures_claim(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    pictures = folder / "pictures"
    written(lambda: write_pictures(pictures, PICTURES, SIDE))
    sides: dict[str, list[dict[str, Any]]] = {"decoded": [], "from the cache": []}
    for _ in range(arguments.times):
        shutil.rmtree(folder / "runs", ignore_errors=True)
        for found in sides.values():
            found.append(measured("ready", pictures, folder / "runs"))
    for (name, found), goal in zip(sides.items(), (30, 2), strict=True):
        seconds = statistics.median(one["seconds"] for one in found)
        taken = statistics.median(one["bytes"] for one in found)
        show(f"pictures, {name}", seconds, taken, f"<= {goal} s", seconds <= goal)
    return {"pictures": PICTURES, "side": SIDE, **sides}


def memory_claim(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    found = {}
    for kind in arguments.kinds.split(","):
        place = folder / kind
        place.mkdir()
        written(lambda kind=kind, place=place: write_large(kind, place, int(arguments.gigabytes * 1e9)))  # type: ignore[misc]
        path = next(p for p in place.iterdir())
        found[kind] = one = measured("fitted", path, place / "runs")
        show(
            f"{kind}, {arguments.gigabytes:g} GB",
            one["seconds"],
            one["bytes"],
            "<= 1000 MB",
            one["bytes"] <= 1e9,
        )
        shutil.rmtree(place)
    return {"gigabytes": arguments.gigabytes, "kinds": found}


CLAIMS = {"csv": csv_claim, "pictures": pictures_claim, "memory": memory_claim}


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("claim", choices=CLAIMS)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--folder", type=Path, help="where the data is written; needs four times its size")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        result = CLAIMS[arguments.claim](Path(folder), arguments)
    print(f"load average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    record(f"reading_{arguments.claim}", result)


if __name__ == "__main__":
    main()
