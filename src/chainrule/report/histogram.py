"""A small histogram of many numbers, with their ends written below it."""

from __future__ import annotations

import numpy as np

from chainrule.core.units import rounded, show_tick
from chainrule.report.html import join
from chainrule.report.shapes import ON_PAGE, Drawing, Label, box, line, write

WIDTH, HEIGHT = 390.0, 90.0
BINS = 41  # odd, so that zero has a bar of its own in the middle
_BELOW = 22.0


def draw_histogram(values: np.ndarray) -> Drawing:
    """Draw how numbers are spread around zero, from −m to m with m the largest size.

    Shapes: values (N,), N > 0
    """
    most = float(np.abs(values).max()) or 1.0
    counts, _ = np.histogram(values, bins=BINS, range=(-most, most))
    across = WIDTH / BINS
    heights = (HEIGHT - 4) * counts / counts.max()
    bars = [
        box(
            i * across + 0.5, HEIGHT - max(1.5, h), across - 1, max(1.5, h), fill=ON_PAGE["ours"], line="none"
        )
        for i, h in enumerate(heights.tolist())
        if h
    ]
    ground = line(f"M0 {HEIGHT:.1f}H{WIDTH:.1f}", ON_PAGE["line"])
    ends = [
        write(Label(text=text, tone="muted", size=13), x, HEIGHT + 17, ON_PAGE, anchor=anchor)
        for text, x, anchor in (
            (show_tick(rounded(-most, 2)), 0.0, "start"),
            ("0", WIDTH / 2, "middle"),
            (show_tick(rounded(most, 2)), WIDTH, "end"),
        )
    ]
    return Drawing(WIDTH, HEIGHT + _BELOW, join(ground, *bars, *ends))
