"""`lr-range`: which learning rates are too low, good and too high for a network on data, and one to begin with."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from chainrule.core.device import choose_device
from chainrule.core.errors import SettingError
from chainrule.core.text import visible
from chainrule.core.units import rounded, show_number, show_tick
from chainrule.data.read import read
from chainrule.jobs.material import reading_of
from chainrule.jobs.planning import unmeasured_plan
from chainrule.jobs.preparation import prepare_run
from chainrule.jobs.request import Request, called, check_names, make_request
from chainrule.jobs.workshop import make_training
from chainrule.report.result_file import ANY_FORM, write_result
from chainrule.train.rate_range import Measured, RateRange, marks, sweep
from chainrule.train.recipe import Recipe
from chainrule.train.settings import with_named
from chainrule.train.task import LossFunction
from chainrule.train.training import Training

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 300
FEWEST_STEPS = 50
ENDINGS = ANY_FORM
BAR = 24  # columns of the longest bar
_NO_SCHEDULE = {
    "schedule": "constant", "warmup_epochs": None, "drop_epochs": None, "drop_factor": None, "decay_rate": None,
    "schedule_patience": None, "lowest_rate": None, "cycles": None,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRateRange:
    """What a range test found. `str` gives the text; `save` writes a page, a picture or the values."""

    found: RateRange
    title: str
    about: str
    command: str  # `fit` with these settings, but for the rate

    @property
    def suggestion(self) -> float | None:
        """The learning rate to begin with; None where no rate lowered the loss."""
        return self.found.suggestion

    def classify(self, rate: float) -> str:
        """Say of a rate whether it is too low, good or too high."""
        return self.found.classify(rate)

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """Return a table with a bar per rate, what follows from it, and the command to go on with."""
        return "\n".join([self.about, *_table(self.found), *self.sentences(), *filter(None, [self.next()])])

    def sentences(self) -> list[str]:
        """Return in words which rates are too low, good and too high."""
        return _sentences(self.found)

    def next(self) -> str:
        """Return the command that trains with the suggestion; empty where there is none."""
        if self.suggestion is None or not self.command:
            return ""
        return f"{self.command} --learning-rate {show_tick(self.suggestion)}"

    def values(self) -> dict[str, Any]:
        """Return every number, for JSON."""
        found = self.found
        return {
            "suggestion": found.suggestion,
            "good": None if found.good is None else list(found.good),
            "has_diverged": found.has_diverged,
            "rates": list(found.rates),
            "losses": list(found.losses),
            "smooth": list(found.smooth),
            "command": self.next(),
        }

    def plot(self) -> Any:
        """Return the loss over the rate as a matplotlib figure."""
        from chainrule.report.rate_range_page import draw

        return draw(self.found, self.title)

    def save(self, path: str | Path) -> Path:
        """Write it: .html a page, .png or .svg a picture, .json the values. Raises: SettingError."""
        from chainrule.report.rate_range_page import page, picture

        return write_result(
            path,
            page=lambda: page(
                self.found,
                title=self.title,
                about=self.about,
                sentences=self.sentences(),
                command=self.next(),
            ),
            values=self.values,
            picture=lambda ending: picture(self.found, self.title, ending),
        )


def lr_range(
    data: Any,
    *,
    target: str | None = None,
    model: str | nn.Module | None = None,
    model_settings: Mapping[str, Any] | None = None,
    loss: str | LossFunction | None = None,
    settings: Mapping[str, Any] | None = None,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
    runs: str | Path = "runs",
) -> LearningRateRange:
    """Train for a moment while the learning rate rises from far too low to far too high, and say which rates are good.

    `data`, `target`, `model` and `loss` are as in `fit`; `settings` are others by name, such as {"optimizer": "sgd"}.
    Nothing that is trained is kept. The same seed gives the same figures.
    Raises: ChainruleError for what cannot be done
    """
    request = make_request(
        data,
        target=target,
        model=model,
        loss=loss,
        settings=settings,
        model_settings=model_settings,
        runs=runs,
    )
    return find_range(request, lowest=lowest, highest=highest, steps=steps)


def find_range(
    request: Request, *, lowest: float, highest: float, steps: int, command: str = ""
) -> LearningRateRange:
    """Do what a request asks. Raises: SettingError for rates that do not rise; ChainruleError as in `fit`"""
    _check_sweep(lowest, highest, steps)
    check_names(request.settings)
    reading = reading_of(request.settings, request.target, cache=request.runs / ".cache", track=request.track)
    source = read(request.data, reading)
    recipe, material = prepare_run(request, source)
    swept = replace(recipe, settings=with_named(recipe.settings, {"learning_rate": highest, **_NO_SCHEDULE}))
    device = choose_device(recipe.plan.device)
    training = make_training(swept, material, device, model=request.model, loss=request.loss)
    with unmeasured_plan(recipe, training).applied():
        measured = list(_tracked(sweep(training.step, training.batches, lowest, steps), steps, request.track))
    if not measured:
        raise SettingError(
            f"the loss is not finite before anything is trained (at {lowest:g}); look at the data and --set scaling"
        )
    found = RateRange(
        rates=tuple(m.rate for m in measured), losses=tuple(m.loss for m in measured), steps=steps
    )
    return LearningRateRange(
        found=found,
        title=f"Learning rates for {visible(called(request.data), 60)}",
        about=_about(recipe, training, found),
        command=command,
    )


def command_of(words: Iterable[str]) -> str:
    """Return the `fit` that goes with the words of an `lr-range`."""
    return shlex.join(["chainrule", "fit", *words])


def _check_sweep(lowest: float, highest: float, steps: int) -> None:
    if not 0 < lowest < float("inf"):
        raise SettingError(f"--lowest must be above 0; got {lowest:g}")
    if not 10 * lowest <= highest < float("inf"):
        raise SettingError(
            f"--highest must be at least ten times --lowest, so {10 * lowest:g}; got {highest:g}"
        )
    if steps < FEWEST_STEPS:
        raise SettingError(f"--steps must be at least {FEWEST_STEPS}, to tell rates apart; got {steps}")


def _tracked(
    measured: Iterable[Measured], steps: int, track: Callable[..., Any] | None
) -> Iterable[Measured]:
    return measured if track is None else track(measured, steps, "raising the rate")


def _about(recipe: Recipe, training: Training, found: RateRange) -> str:
    settings = recipe.settings
    parameters = sum(p.numel() for p in training.step.objective.model.parameters())
    return (
        f"{settings.model}, {parameters:,} parameters, {settings.optimizer}, batches of {settings.batch_size}: "
        f"{len(found.rates)} updates, the rate from {show_tick(found.rates[0])} to {rounded(found.rates[-1], 2):g}"
    )


def _table(found: RateRange) -> list[str]:
    """Return a line per round rate with the loss there, as a number and as a bar."""
    rates = [rate for rate in marks(found.rates[0], found.rates[-1]) if found.at(rate) is not None]
    losses = {rate: loss for rate in rates if (loss := found.at(rate)) is not None}
    longest = max(found.start, 1e-300)
    lines = [f"{'rate':>8} {'loss':>10}"]
    for rate, loss in losses.items():
        bar = "█" * max(0, min(BAR, round(BAR * loss / longest)))
        lines.append(f"{show_tick(rate):>8} {show_number(loss):>10}  {bar:<{BAR}}  {found.classify(rate)}")
    return lines


def _sentences(found: RateRange) -> list[str]:
    if found.good is None:
        if found.begins_too_high:
            return [
                f"The loss grew at once: {show_tick(found.rates[0])} is too high already. Begin lower, with --lowest."
            ]
        return [
            "No rate lowered the loss by more than batches differ. Either the data says little about the target, or more "
            "updates are needed: --steps."
        ]
    low, high = (rounded(rate, 1) for rate in found.good)
    assert found.suggestion is not None
    end = f", at {show_number(rounded(found.rates[-1], 2))} it has diverged" if found.has_diverged else ""
    top = (
        "it was still falling at the highest rate (--highest goes further)"
        if found.is_still_falling
        else f"above {show_tick(high)} it rises: too high{end}"
    )
    return [
        f"Below {show_tick(low)} the loss hardly moves: too low, many epochs would be needed. From {show_tick(low)} to "
        f"{show_tick(high)} it falls: good. {top[0].upper()}{top[1:]}.",
        f"Suggested learning rate: {show_tick(found.suggestion)}, a third of the rate with the least loss.",
    ]
