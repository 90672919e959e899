"""The picture and the page of a range test."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.report.rate_range_page import draw, page, picture
from chainrule.train.rate_range import RateRange


def found(height: float = 40.0) -> RateRange:
    rates = np.geomspace(1e-6, 1.0, 256)
    places = np.log10(rates)
    losses = 2 - 1.5 / (1 + np.exp(-4 * (places + 3))) + height * np.maximum(0, places + 1) ** 2
    return RateRange(rates=tuple(rates.tolist()), losses=tuple(losses.tolist()), steps=300)


def test_the_drawing_shows_losses_zones_and_the_suggestion() -> None:
    shown = found()
    (axes,) = draw(shown, "Rates").axes
    dots, line, mark = axes.get_lines()
    assert tuple(dots.get_ydata()) == shown.losses and tuple(line.get_ydata()) == shown.smooth
    assert set(mark.get_xdata()) == {shown.suggestion}
    texts = [text.get_text().strip() for text in axes.texts]
    assert {"too low", "good", "too high", "Rates", f"suggested: {shown.suggestion:g}"} == set(texts)
    low, high = axes.get_ylim()
    assert low < min(shown.smooth) and shown.start < high < 3, "where it diverges is cut"


def test_without_a_suggestion_nothing_is_marked() -> None:
    flat = RateRange(rates=tuple(np.geomspace(1e-6, 1, 100).tolist()), losses=(1.0,) * 100, steps=100)
    (axes,) = draw(flat).axes
    assert len(axes.get_lines()) == 2 and not axes.texts and not axes.patches


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_same_figures_give_the_same_bytes(ending: str) -> None:
    assert picture(found(), "Rates", ending) == picture(found(), "Rates", ending)


def test_names_of_data_are_text_on_the_page() -> None:
    name = "<script>alert(1)</script>"
    made = page(found(), title=name, about=name, sentences=[name, "Suggested: 0.03"], command=name).render()
    assert name not in made and made.count("&lt;script&gt;") >= 4
    assert "too high" in made
