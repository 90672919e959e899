"""The schedule of a script: its constants, the factor of the learning rate, and where the loop asks for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from chainrule.core.errors import RunError
from chainrule.jobs.code_text import Part
from chainrule.train.settings import Settings

ABOUT = {
    "constant": "it rises, and stays",
    "step": "a tenth after a third of the run, a hundredth after two thirds",
    "exponential": "it falls from 1 to below a hundredth",
    "cosine": "it falls to zero along half a cosine",
    "linear": "it falls to zero in a straight line",
}
FORMS = {
    "constant": "1.0",
    "step": "0.1 ** min(2, int(progress * 3))",
    "exponential": "math.exp(-5 * progress)",
    "cosine": "0.5 * (1 + math.cos(math.pi * progress))",
    "linear": "1 - progress",
}
RISES = ("cosine", "linear")  # in the first twentieth of the run where nothing else was said


@dataclass(slots=True)
class ScheduleCode:
    """Constants and function, and the lines of the loop: before it, after an update, after the validation."""

    part: Part = field(default_factory=Part)
    before: list[str] = field(default_factory=list)
    after_update: list[str] = field(default_factory=list)
    after_epoch: list[str] = field(default_factory=list)


def schedule_code(settings: Settings) -> ScheduleCode:
    """Write the schedule of a run. Raises: RunError for a warm-up into a plateau"""
    if settings.schedule == "plateau":
        return _plateau(settings)
    if settings.schedule == "constant" and not settings.warmup_epochs:
        return ScheduleCode()
    part = Part().uses("math")
    body = _place(part, settings)
    if settings.schedule == "constant":
        body[-1] = body[-1].replace("rise =", "return")
    else:
        form = _form(part, settings, body)
        body.append(f"return {form}")
    counts = any("steps_per_epoch" in line for line in body)
    names = ["step", "steps", *["steps_per_epoch"] * counts]
    lines = "\n    ".join([f'"""Factor of the learning rate: {_about(settings)}."""', *body])
    part.function(f"def rate_factor({', '.join(names)}):\n    {lines}")
    per_epoch = "math.ceil(len(train) / BATCH_SIZE)"
    if counts:
        before = [
            f"    steps_per_epoch = {per_epoch}",
            "    steps = EPOCHS * steps_per_epoch",
            "    schedule = torch.optim.lr_scheduler.LambdaLR(",
            "        optimizer, lambda step: rate_factor(step, steps, steps_per_epoch)",
            "    )",
        ]
    else:
        before = [
            f"    steps = EPOCHS * {per_epoch}",
            "    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, steps))",
        ]
    return ScheduleCode(part, before, ["            schedule.step()"])


def _about(settings: Settings) -> str:
    if settings.warmup_epochs:
        rise = "it rises during WARMUP_EPOCHS; then " * (settings.schedule != "constant")
    else:
        rise = "it rises during the first 5 % of the run; then " * _rises(settings)
    if settings.drop_epochs:
        return f"{rise}it drops every DROP_EPOCHS epochs"
    if settings.decay_rate is not None:
        return f"{rise}it falls as e^(-DECAY_RATE t) over t epochs"
    about = ABOUT[settings.schedule or "constant"]
    if settings.drop_factor is not None:
        about = "it drops after a third and two thirds of the run"
    return rise + about.replace("zero", "LOWEST_RATE" if settings.lowest_rate else "zero")


def _rises(settings: Settings) -> bool:
    return settings.schedule in RISES and settings.warmup_epochs is None


def _place(part: Part, settings: Settings) -> list[str]:
    """Return the lines that say where a run stands after its warm-up."""
    needs_over = bool(settings.drop_epochs or settings.decay_rate)
    if settings.warmup_epochs:
        part.setting("WARMUP_EPOCHS", settings.warmup_epochs, "in which the rate rises")
        return [
            "warmup = max(1, round(WARMUP_EPOCHS * steps_per_epoch))",
            "rise = min(1.0, (step + 1) / (warmup + 1))",
            *["over = max(0, step - warmup)"] * needs_over,
            *["progress = max(0, step - warmup) / (steps - warmup)"]
            * (settings.schedule != "constant" and not needs_over),
        ]
    if _rises(settings):
        return [
            "rise = min(1.0, (step / steps + 1e-3) / 0.05)",
            "progress = max(0.0, (step / steps - 0.05) / 0.95)",
        ]
    return ["over = step" if needs_over else "progress = step / steps"]


def _form(part: Part, settings: Settings, body: list[str]) -> str:
    """Return the factor as an expression; what it needs beforehand is appended to `body`."""
    assert settings.schedule is not None
    form = FORMS[settings.schedule]
    if settings.drop_epochs:
        part.setting("DROP_EPOCHS", settings.drop_epochs, "between two drops of the rate")
        form = "0.1 ** int(over / steps_per_epoch / DROP_EPOCHS)"
    if settings.drop_factor is not None:
        part.setting("DROP_FACTOR", settings.drop_factor, "of the rate at each drop")
        form = form.replace("0.1 **", "DROP_FACTOR **")
    if settings.decay_rate is not None:
        part.setting("DECAY_RATE", settings.decay_rate, "per epoch")
        form = "math.exp(-DECAY_RATE * (over / steps_per_epoch))"
    factor = f"({form})" if settings.schedule == "linear" else form
    if settings.lowest_rate:
        part.setting("LOWEST_RATE", settings.lowest_rate, "learning rate at the end")
        body.append("lowest = LOWEST_RATE / LEARNING_RATE")
        form = f"lowest + (1 - lowest) * {factor}"
        factor = f"({form})"
    return f"rise * {factor}" if settings.warmup_epochs or _rises(settings) else form


def _plateau(settings: Settings) -> ScheduleCode:
    if settings.warmup_epochs:
        raise RunError("a warm-up into the schedule plateau is not yet supported in scripts")
    part = Part().uses("math")
    factor = 0.1 if settings.drop_factor is None else settings.drop_factor
    lowest = 1e-6 if settings.lowest_rate is None else settings.lowest_rate
    part.setting("DROP_FACTOR", factor, "of the learning rate whenever the validation loss has stalled")
    part.setting(
        "SCHEDULE_PATIENCE", settings.schedule_patience or 10, "epochs without a lower validation loss"
    )
    part.setting("LOWEST_RATE", lowest, "below which the learning rate does not drop")
    loss = 'measured["loss"]' if settings.metric else "validation_loss"
    return ScheduleCode(
        part,
        ["    stalls, stale, lowest_loss = 0, 0, math.inf"],
        [],
        [
            f"        stale = 0 if {loss} < lowest_loss else stale + 1",
            f"        lowest_loss = min(lowest_loss, {loss})",
            "        if stale == SCHEDULE_PATIENCE:",
            "            stalls, stale = stalls + 1, 0",
            "        for group in optimizer.param_groups:",
            '            group["lr"] = LEARNING_RATE * max(DROP_FACTOR**stalls, min(1.0, LOWEST_RATE / LEARNING_RATE))',
        ],
    )
