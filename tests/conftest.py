"""What all tests share: the ledger of the curriculum, the decks' tables, and settings of hypothesis.

`@pytest.mark.curriculum("OUT-01", "OUT-05")` marks a test that proves rows of docs/curriculum.md. The outcome of every
marked test goes to `.rows/proven.json` at the end of a session; `scripts/rows.py` counts.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import rows as curriculum

from chainrule.core.errors import PlanError
from chainrule.train.native_build import find_compiler, library, why_no_library

hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("suite")

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Workers of pytest-xdist share the cores: threads that wait for each other's cores take many times as long.
    cores = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores)))

PROPERTY = "curriculum"
OUTCOMES = pytest.StashKey[dict[str, dict[str, str]]]()
TESTS = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rows", metavar="NEU-06,NEU-07", help="only tests marked with these rows of the curriculum"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = {}
    config.stash[TESTS] = set()
    config.pluginmanager.register(Ledger(config), "curriculum-ledger")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hang each marked test's rows on it, where they survive the way from a worker of pytest-xdist."""
    known = {
        row.id for row in curriculum.read_rows((config.rootpath / curriculum.CURRICULUM).read_text("utf-8"))
    }
    for item in items:
        for mark in item.iter_markers("curriculum"):
            if not mark.args or mark.kwargs:
                raise pytest.UsageError(
                    f"{item.nodeid}: curriculum takes row IDs: curriculum('OUT-01', 'OUT-05')"
                )
            for row in mark.args:
                if row not in known:
                    close = difflib.get_close_matches(str(row), sorted(known), 1)
                    hint = f"; did you mean {close[0]}?" if close else ""
                    raise pytest.UsageError(f"{item.nodeid}: the curriculum has no row {row!r}{hint}")
                item.user_properties.append((PROPERTY, row))
    wanted = config.getoption("--rows")
    if wanted:
        rows = {(PROPERTY, row) for row in wanted.split(",")}
        chosen = [item for item in items if rows & set(item.user_properties)]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


class Ledger:
    """Records the outcome of every marked test, and writes them at the end of the session."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.config.stash[TESTS].add(report.nodeid)
        for name, row in report.user_properties:
            if name == PROPERTY:
                tests = self.config.stash[OUTCOMES].setdefault(str(row), {})
                tests[report.nodeid] = _worse(tests.get(report.nodeid), _outcome(report))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workerinput") or self.config.option.collectonly:
            return
        record = {
            "tests": len(self.config.stash[TESTS]),
            "arguments": list(self.config.invocation_params.args),
            "outcomes": dict(sorted(self.config.stash[OUTCOMES].items())),
        }
        path = self.config.rootpath / curriculum.RECORD
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)


def _outcome(report: pytest.TestReport) -> str:
    """Return passed, failed, or skipped for one phase; what is expected to fail proves nothing even when it passes."""
    return "skipped" if hasattr(report, "wasxfail") else report.outcome


def _worse(earlier: str | None, outcome: str) -> str:
    """A test has passed if all its phases have: set-up, call, tear-down."""
    order = ("passed", "skipped", "failed")
    return max(earlier or "passed", outcome, key=order.index)


@pytest.fixture
def fixtures() -> Path:
    """The folder of the decks' tables."""
    return Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skip where there is no C++ compiler; where there is one, it has to compile."""
    try:
        find_compiler()
    except PlanError as error:
        pytest.skip(str(error))
    library()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep plans and compiled code of the tests apart from the user's own, and measure none by the clock.

    Two networks of one test would else run by two plans, as the machine is busy or not. Tests of planning measure.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.jobs.planning.LEAST_UPDATES", 10**9)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        why_no_library()  # where there is a compiler: else it would be there from some test on
        yield
