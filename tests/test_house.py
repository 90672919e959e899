"""The house keeps its promises to whoever imports it: nothing heavy before it is needed, every public name there."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import chainrule

HEAVY = ("torch", "polars", "sklearn", "scipy", "numpy", "matplotlib")
SOURCES = sorted(Path(chainrule.__file__).parent.rglob("*.py"))


def heavy_imports(*arguments: str) -> list[str]:
    """Run Python and return the heavy packages that it imported, as its own record of imports has them."""
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True
    )
    imported = {
        line.rsplit("|", 1)[-1].strip()
        for line in ended.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "chainrule" in imported
    return sorted(imported & set(HEAVY))


def test_the_check_sees_heavy_imports() -> None:
    assert "torch" in heavy_imports("-c", "import chainrule; chainrule.Task")


def test_import_is_light() -> None:
    assert heavy_imports("-c", "import chainrule; dir(chainrule); chainrule.__version__") == []


@pytest.mark.parametrize("command", ["--help", "--version", "fit --help", "tune --help", "predict --help"])
def test_help_is_light(command: str) -> None:
    assert heavy_imports("-m", "chainrule", *command.split()) == []


def test_listing_names_is_light() -> None:
    assert (
        heavy_imports("-c", "from chainrule import catalog\nfor k in catalog.KINDS: catalog.names(k)") == []
    )


@pytest.mark.parametrize("name", chainrule.__all__)
def test_public_names_resolve(name: str) -> None:
    value = getattr(chainrule, name)
    assert name in dir(chainrule)
    if name != "__version__":
        assert value is getattr(import_module(chainrule._PUBLIC[name]), name)
        assert value.__doc__, f"{name} says nothing about itself"


def test_no_room_hides_a_public_name() -> None:
    """Importing chainrule.x.y binds chainrule.x to the room: a public name x would be gone from then on."""
    rooms = {
        path.parent.name
        for path in SOURCES
        if path.name == "__init__.py" and path.parent != SOURCES[0].parent
    }
    modules = {path.stem for path in SOURCES if path.parent == Path(chainrule.__file__).parent}
    assert not set(chainrule.__all__) & (rooms | modules)


def test_type_checkers_see_the_same_names() -> None:
    """mypy reads the imports under TYPE_CHECKING, Python the table: both must name the same."""
    tree = ast.parse(Path(chainrule.__file__).read_text("utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    shown = {
        alias.asname: node.module
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == chainrule._PUBLIC


def test_unknown_public_name() -> None:
    with pytest.raises(AttributeError, match="module 'chainrule' has no attribute 'fitt'"):
        chainrule.fitt  # noqa: B018


def test_python_m_chainrule() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "chainrule", "--version"], capture_output=True, text=True, check=True
    )
    assert ended.stdout == f"chainrule {chainrule.__version__}\n"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_nothing_is_pickled(path: Path) -> None:
    names = {
        alias.name.partition(".")[0]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not names & {"pickle", "shelve", "marshal", "dill", "joblib"}
