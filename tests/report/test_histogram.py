"""The bars of a histogram say where numbers are."""

from __future__ import annotations

import re

import numpy as np

from chainrule.report.histogram import BINS, HEIGHT, WIDTH, draw_histogram


def test_bars_stand_where_numbers_are() -> None:
    shown = draw_histogram(np.array([-2.0, 0.0, 0.0, 0.0, 2.0])).content.html
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"', shown)
    assert [round(float(x) / WIDTH * BINS) for x, _ in bars] == [0, BINS // 2, BINS - 1]
    heights = [float(height) for _, height in bars]
    assert heights[1] > 2.9 * heights[0] and heights[0] == heights[2] and heights[1] < HEIGHT
    assert ">−2<" in shown and ">0<" in shown and ">2<" in shown


def test_only_zeros() -> None:
    assert draw_histogram(np.zeros(7)).content.html.count("<rect") == 1
