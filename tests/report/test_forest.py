"""A forest plot shows every score with its name, in the order given, and no line that would press the others together."""

from typing import Any

from matplotlib.text import Text

from chainrule.report.forest import Mark, draw_forest

MARKS = [
    Mark("mlp", 0.97, 0.95, 0.99, (0.96, 0.98), is_marked=True),
    Mark("a-very-long-name-of-a-model-that-nobody-would-choose", 0.9, 0.85, 0.95, (0.88, float("nan"))),
]


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_names_and_scores_stand_in_order() -> None:
    shown = texts(draw_forest(MARKS, "accuracy", base=("the largest class alone", 0.8)))
    assert shown.index("mlp") < next(k for k, text in enumerate(shown) if text.startswith("a-very-long"))
    assert {"0.970", "0.900", "the largest class alone", "accuracy"} <= set(shown)


def test_a_score_far_from_the_others_is_said_and_not_drawn() -> None:
    shown = texts(draw_forest(MARKS, "accuracy", base=("the largest class alone", 0.1)))
    assert "accuracy (the largest class alone, beyond this scale: 0.1)" in shown
    assert "the largest class alone" not in shown


def test_equal_scores_can_be_drawn() -> None:
    assert "1.00" in texts(draw_forest([Mark("mlp", 1.0, 1.0, 1.0)], "accuracy"))
