"""The picture and the page of a step's parts."""

from __future__ import annotations

import pytest

from chainrule.explanations.step_parts import BATCH, REST, UPDATE, Part, StepParts
from chainrule.report.bench_page import draw, page, picture
from chainrule.report.bench_text import PlanTime, about_machine, table_of_parts, table_of_plans
from chainrule.train.machine import Machine

HERE = Machine(
    name="a <fast> processor", device="cpu", cores=2, threads=1, instruction_sets=("avx2",), float32=100e9,
    bfloat16=250e9, bandwidth=20e9, call_seconds=1e-6,
)  # fmt: skip
STEP = StepParts(
    parts=(
        Part(name="dense", calls=3, forward=1e-3, backward=3e-3, operations=200_000_000, bytes=10**6),
        Part(name="activation", calls=2, forward=1e-3, backward=1e-3, bytes=160_000_000),
        Part(name=UPDATE, calls=1, forward=1e-3, bytes=5_000_000),
        Part(name=BATCH, calls=1, forward=1e-3, bytes=1000),
        Part(name=REST, calls=0, forward=2e-3),
    ),
    rows=32, seconds=10e-3, few_rows=2, few_seconds=1e-3,
)  # fmt: skip
PLANS = (
    PlanTime(name="plain", seconds=10e-3, plain_seconds=10e-3),
    PlanTime(name="dense", seconds=4e-3, plain_seconds=10e-3),
)


def test_the_tables_say_what_was_measured() -> None:
    head, dense, activation, *_, whole = table_of_parts(STEP, HERE, 200)
    assert head.split() == [
        "part",
        "calls",
        "forward",
        "ms",
        "backward",
        "ms",
        "ms",
        "of",
        "step",
        "GFLOP/s",
        "of",
        "peak",
        "GB/s",
        "of",
        "memory's",
    ]
    assert dense.split()[:8] == ["dense", "3", "1.000", "3.000", "4.000", "40.0", "%", "50.0"]
    assert "50.0 %" in dense and activation.endswith("4.0×"), "caches give more than memory"
    assert "100 %" in whole and "10.000" in whole and whole.split()[2] == "7", "three, two, one and one calls"
    assert [line.split()[-1] for line in table_of_plans(PLANS, 200)[1:]] == ["1.00×", "2.50×"]
    assert about_machine(HERE)[0] == "a <fast> processor, 2 cores, 1 thread in use, avx2"
    assert about_machine(HERE)[1].split() == ["products", "in", "float32", "100", "GFLOP/s"]


def test_a_narrow_terminal_gets_a_table_that_fits() -> None:
    assert all(len(line) <= 100 for line in table_of_parts(STEP, HERE, 100))


def test_bars_are_as_long_as_their_parts() -> None:
    (axes,) = draw(STEP, HERE, "A step").axes
    widths = [bar.get_width() for bar in axes.patches]
    forward, backward = widths[0:10:2], widths[1:10:2]
    longest = forward[0] + backward[0]
    assert [(f + b) / longest for f, b in zip(forward, backward, strict=True)] == pytest.approx(
        [1, 0.5, 0.25, 0.25, 0.5]
    )
    whole, reached = widths[10::2], widths[11::2]
    assert [r / w for r, w in zip(reached, whole, strict=True)] == pytest.approx([0.5, 1.0, 0.25, 5e-5])
    texts = [text.get_text() for text in axes.texts]
    assert {"A step", "dense", "4 ms, 40.0 %", "dense (products)", "4.0×"} <= set(texts)


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_the_same_figures_give_the_same_bytes(ending: str) -> None:
    assert picture(STEP, HERE, "A step", ending) == picture(STEP, HERE, "A step", ending)


def test_page() -> None:
    made = page(
        STEP, HERE, PLANS, title="A step on <data>", about="mlp, 1 thread:", sentence="Calls bound this step.", left_out=[]
    ).render()  # fmt: skip
    assert "Calls bound this step." in made and "2.50×" in made and "mlp, 1 thread." in made
    assert "a &lt;fast&gt; processor" in made and "<data>" not in made
    assert made.count("<svg") == 2 and "100 GFLOP/s" in made
