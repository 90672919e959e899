"""The training part of a script: optimizer, schedule, loop, and the rule by which the kept weights are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.catalog import load
from chainrule.core.errors import RunError
from chainrule.jobs.code_penalties import penalty_code
from chainrule.jobs.code_schedule import ScheduleCode, schedule_code
from chainrule.jobs.code_text import Part
from chainrule.train.metrics import metric_named
from chainrule.train.settings import Settings
from chainrule.train.step import RUNNING

OPTIMIZERS = {  # name -> class of torch.optim, and whether the run used its fused kernel
    "gradient-descent": ("SGD", True),
    "sgd": ("SGD", True),
    "mini-batch": ("SGD", True),
    "momentum": ("SGD", True),
    "nesterov": ("SGD", True),
    "adagrad": ("Adagrad", True),
    "adadelta": ("Adadelta", False),
    "rmsprop": ("RMSprop", False),
    "adam": ("Adam", True),
    "adamw": ("AdamW", True),
    "nadam": ("NAdam", False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a loop depends on beside the settings.

    `noisy` counts the layers with dropout; `foreign` is a model that is imported; `switches`: the model has a
    mode for training; `has_units`: targets are values.
    """

    validates: bool
    noisy: int
    foreign: bool
    switches: bool
    smooths: bool
    has_units: bool


def training_part(settings: Settings, facts: Facts) -> Part:
    """Return settings and loop. Raises: RunError for an optimizer that torch does not have"""
    if settings.optimizer not in OPTIMIZERS:
        raise RunError(f"torch.optim does not have its optimizer, {settings.optimizer}")
    part, schedule = Part(), schedule_code(settings)
    _add_constants(part, settings, facts)
    part.add(schedule.part)
    part.function("\n".join(_loop(part, settings, schedule, facts)))
    return part


def _add_constants(part: Part, settings: Settings, facts: Facts) -> None:
    part.setting("EPOCHS", settings.epochs, "passes over the training rows")
    part.setting("BATCH_SIZE", settings.batch_size)
    part.setting(
        "LEARNING_RATE", settings.learning_rate, "at its highest" * (settings.schedule != "constant")
    )
    if settings.weight_decay:
        falls = "at a loss of 1 and above; below, in proportion to the loss" * _decays_with_loss(settings)
        part.setting("WEIGHT_DECAY", settings.weight_decay, falls)
    if facts.smooths:
        part.setting(
            "LABEL_SMOOTHING", settings.label_smoothing, "part of the target given to the other classes"
        )
    if settings.clip_norm:
        part.uses("torch:nn")
        part.setting("CLIP_NORM", settings.clip_norm, "longest gradient")
    if settings.clip_value:
        part.uses("torch:nn")
        part.setting("CLIP_VALUE", settings.clip_value, "largest entry of a gradient")
    if facts.validates and settings.patience:
        what = settings.metric or "loss"
        part.setting(
            "PATIENCE", settings.patience, f"epochs without a better validation {what} before the end"
        )


def _loop(part: Part, settings: Settings, schedule: ScheduleCode, facts: Facts) -> list[str]:
    steps_count = bool(facts.noisy or facts.foreign)
    units = ", mean, std" * (facts.has_units and bool(settings.metric))
    validation = f", validation{units}" * facts.validates
    penalty = penalty_code(part, settings)
    batch = "augment(inputs[batch], epoch, place)" if settings.augment else "inputs[batch]"
    return [
        f"def fit(model, inputs, targets, train{validation}):",
        f'    """{_purpose(settings, facts.validates)}"""',
        *_optimizer(settings, penalty.rule_decays),
        *penalty.before,
        *schedule.before,
        *(["    step = 0"] if steps_count else []),
        *_before(part, settings, facts.validates),
        "    for epoch in range(EPOCHS):",
        *(["        model.train()"] if facts.switches else []),
        *_batches(settings),
        *_reseed(facts),
        f"            loss = loss_of(model({batch}), targets[batch]{', LABEL_SMOOTHING' * facts.smooths})",
        *_scaled_decay(settings, penalty.rule_decays),
        "            optimizer.zero_grad()",
        "            loss.backward()",
        *_clip(settings, penalty.rule_decays),
        *penalty.before_update,
        "            optimizer.step()",
        *penalty.after_update,
        *schedule.after_update,
        *(["            step += 1"] if steps_count else []),
        *(_after_epoch(settings, units, schedule) if facts.validates else ['        print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.4f}")']),
    ]  # fmt: skip


def _batches(settings: Settings) -> list[str]:
    rows = "order" if settings.shuffle else "train"
    split = f"{rows}.split(BATCH_SIZE)"
    order = '        order = train[torch.randperm(len(train), generator=generator("order", 0, epoch))]'
    each = f"place, batch in enumerate({split})" if settings.augment else f"batch in {split}"
    return [*[order] * settings.shuffle, f"        for {each}:"]


def _purpose(settings: Settings, validates: bool) -> str:
    if not validates:
        return "Train for EPOCHS epochs."
    metric = settings.metric
    if settings.patience:
        end = f"{metric} no longer gets better" if metric else "loss no longer falls"
        return f"Train until the validation {end}; then put the best weights back."
    best = f"best validation {metric}" if metric else "lowest validation loss"
    return f"Train; then put back the weights with the {best} in the second half of the epochs."


def _optimizer(settings: Settings, decays: bool) -> list[str]:
    assert settings.optimizer is not None
    kind = OPTIMIZERS[settings.optimizer][0]
    more = "".join(f", {argument}" for argument in _arguments(settings))
    if not decays:
        none = ", weight_decay=0.0" if settings.optimizer == "adamw" else ""  # torch's own default is 0.01
        lines = [
            f"    optimizer = torch.optim.{kind}(model.parameters(), lr=LEARNING_RATE{none}{more})",
        ]
    else:
        lines = [
            "    weights = [p for p in model.parameters() if p.dim() > 1]",
            "    biases = [p for p in model.parameters() if p.dim() <= 1]  # do not decay",
            '    groups = [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": biases, "weight_decay": 0.0}]',
            f"    optimizer = torch.optim.{kind}(groups, lr=LEARNING_RATE{more})",
        ]
    return lines


def _arguments(settings: Settings) -> Iterator[str]:
    """Give the optimizer's arguments beside rate and decay, as torch calls them, where they are not torch's defaults."""
    assert settings.optimizer is not None
    kind, is_fused = OPTIMIZERS[settings.optimizer]
    defaults = load("optimizer", settings.optimizer).defaults
    chosen = {name: standard if getattr(settings, name) is None else getattr(settings, name) for name, standard in defaults.items()}  # fmt: skip
    if "momentum" in chosen:
        yield f"momentum={chosen['momentum']!r}"
        if settings.optimizer == "nesterov" and chosen["momentum"]:
            yield "nesterov=True"
    if kind == "RMSprop":
        yield f"alpha={chosen['rho']!r}"
    elif settings.rho is not None:
        yield f"rho={chosen['rho']!r}"
    if settings.beta1 is not None or settings.beta2 is not None:
        yield f"betas=({chosen['beta1']!r}, {chosen['beta2']!r})"
    if settings.epsilon is not None:
        yield f"eps={chosen['epsilon']!r}"
    if is_fused:
        yield "fused=True"


def _before(part: Part, settings: Settings, validates: bool) -> list[str]:
    lines = []
    if _decays_with_loss(settings):
        lines += ["    running_loss = None"]
    if validates:
        part.uses("math", "copy")
        best, nothing = (
            ("best_cost", "(math.inf, math.inf)") if settings.metric else ("best_loss", "math.inf")
        )
        more, none = (", best_epoch", ", -1") if settings.patience else ("", "")
        lines += [f"    {best}{more} = {nothing}{none}"]
    return lines


def _reseed(facts: Facts) -> list[str]:
    if facts.foreign:
        return ['            torch.manual_seed(mix(SEED, "global", step))  # for layers that draw at random']
    return ["            Dropout.step = step"] if facts.noisy else []


def _decays_with_loss(settings: Settings) -> bool:
    return bool(settings.decay_with_loss and settings.weight_decay)


def _scaled_decay(settings: Settings, by_rule: bool) -> list[str]:
    """Weight decay in proportion to the running mean of the loss."""
    if not _decays_with_loss(settings):
        return []
    return [
        "            # The better the fit, the less the weights decay: in proportion to the running mean of the loss.",
        "            before = min(1.0, loss.item()) if running_loss is None else running_loss",
        f"            running_loss = {RUNNING} * before + (1 - {RUNNING}) * loss.item()",
        *['            optimizer.param_groups[0]["weight_decay"] = WEIGHT_DECAY * min(1.0, running_loss)']
        * by_rule,
    ]


def _clip(settings: Settings, has_groups: bool) -> list[str]:
    parameters = "[*weights, *biases]" if has_groups else "model.parameters()"
    by_value = [f"            nn.utils.clip_grad_value_({parameters}, CLIP_VALUE)"]
    by_norm = [f"            nn.utils.clip_grad_norm_({parameters}, CLIP_NORM)"]
    return by_value * bool(settings.clip_value) + by_norm * bool(settings.clip_norm)


def _after_epoch(settings: Settings, units: str, schedule: ScheduleCode) -> list[str]:
    """Validate, keep the best weights, and stop where patience is spent."""
    if settings.metric:
        lines, cost = _measured(settings.metric, units), "cost"
    else:
        cost = "validation_loss"
        lines = [
            "        validation_loss = loss_of(outputs_of(model, inputs[validation]), targets[validation]).item()",
            '        print(f"epoch {epoch + 1}: validation loss {validation_loss:.4f}")',
        ]
    lines += schedule.after_epoch
    best = "best_cost" if settings.metric else "best_loss"
    if settings.patience:
        lines += [
            f"        if {cost} < {best}:",
            f"            {best}, best_epoch, best_weights = {cost}, epoch, copy.deepcopy(model.state_dict())",
            "        if epoch - best_epoch >= PATIENCE:",
            "            break",
        ]
    else:
        lines += [
            f"        if epoch >= EPOCHS // 2 and {cost} < {best}:",
            f"            {best}, best_weights = {cost}, copy.deepcopy(model.state_dict())",
        ]
    return [*lines, "    model.load_state_dict(best_weights)"]


def _measured(metric: str, units: str) -> list[str]:
    """Return the lines that judge by a metric."""
    sign = "-" if metric_named(metric).larger_is_better else ""
    return [
        f"        measured = evaluate(model, inputs[validation], targets[validation]{units})",
        f"        print(f\"epoch {{epoch + 1}}: validation {metric} {{measured['{metric}']:.4f}}\")",
        f'        cost = ({sign}measured["{metric}"], measured["loss"])  # among equals the lower loss is better',
    ]
