"""The page of depth and width runs, and says what it measured."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/pages/depth.py"


@pytest.fixture(scope="module")
def depth() -> ModuleType:
    spec = importlib.util.spec_from_file_location("depth_page", PAGE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_gradients_shrink_where_the_page_says_so(depth: ModuleType) -> None:
    sigmoid, relu, small = (
        depth.gradient_norms(*each)
        for each in (("sigmoid", "xavier"), ("relu", "he"), ("relu", "normal:0.01"))
    )
    assert len(sigmoid) == depth.DEEP
    assert sigmoid[0] < 1e-6 * sigmoid[-1] and small[0] < 1e-6
    assert relu[0] > 1e6 * sigmoid[0]


def test_normalisation_makes_starts_matter_less(depth: ModuleType) -> None:
    plain = [depth.after_start(start, 0.1, None) for start in ("normal:0.01", "he")]
    batch = [depth.after_start(start, 0.1, "batch") for start in ("normal:0.01", "he")]
    assert plain[0] > 2.25 and plain[1] < 2, plain
    assert max(batch) < 1, batch


def test_page_at_small_scale(depth: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("DEPTHS", (0, 1)), ("WIDTHS", (3, 6)), ("RATES", (0.03, 0.3)), ("START_STEPS", 2)):
        monkeypatch.setattr(depth, name, value)
    depth.main(tmp_path, seeds=1, epochs=1, most=120)
    text = (tmp_path / "depth.md").read_text("utf-8")
    for picture in ("depth-accuracy", "depth-gradients", "depth-widths"):
        assert f"pictures/{picture}.svg" in text
        assert (tmp_path / f"pictures/{picture}.svg").read_text("utf-8").startswith("<?xml")
    assert "| hidden layers | relu, he | sigmoid, xavier |" in text and "| 6 | " in text
