"""The penalties of a script: what is done to gradients and weights around the updates of its optimizer."""

from __future__ import annotations

from typing import NamedTuple

from chainrule.jobs.code_text import Part
from chainrule.optim.penalties import DECOUPLED_RULES, is_coupled
from chainrule.train.settings import Settings

ADD_L1 = '''
def add_l1(weight):
    """Add the gradient of L1 · |w|, at 0 its shortest; returns the side of 0 on which each weight has to stay."""
    side, gradient = weight.sign(), weight.grad
    gradient.copy_(torch.where(side == 0, nn.functional.softshrink(gradient, L1), gradient + L1 * side))
    return torch.where(side == 0, -gradient.sign(), side)
'''
WEIGHTS = "[p for p in model.parameters() if p.dim() > 1]"


class PenaltyCode(NamedTuple):
    """Lines before the first update, before and after each; and whether the optimizer decays the weights itself."""

    before: list[str]
    before_update: list[str]
    after_update: list[str]
    rule_decays: bool


def penalty_code(part: Part, settings: Settings) -> PenaltyCode:
    """Return the lines of the penalties; what they need is added to the part."""
    assert settings.optimizer is not None
    coupled = is_coupled(settings.penalty, settings.optimizer)
    rule_decays = bool(settings.weight_decay) and coupled == (settings.optimizer not in DECOUPLED_RULES)
    decays = bool(settings.weight_decay) and not rule_decays
    if not settings.l1 and not decays:
        return PenaltyCode([], [], [], rule_decays)
    first, last = [], []
    if settings.l1:
        part.uses("torch:nn")
        part.setting(
            "L1", settings.l1, "strength of Σ |w|" if coupled else "times the rate: taken off each |w|"
        )
        if coupled:
            part.function(ADD_L1)
            first += ["sides = [add_l1(weight) for weight in weights]"]
            last += [
                "for weight, side in zip(weights, sides, strict=True):",
                "    weight.masked_fill_(weight * side <= 0, 0.0)  # what crosses 0 stops there",
            ]
        else:
            last += [
                "for weight in weights:",
                '    weight.copy_(nn.functional.softshrink(weight, optimizer.param_groups[0]["lr"] * L1))',
            ]
    if decays:
        scaled = settings.decay_with_loss
        amount = "decay" if scaled else "WEIGHT_DECAY"
        first += ["decay = WEIGHT_DECAY * min(1.0, running_loss)"] * bool(scaled)
        first += [
            "for weight in weights:",
            f"    weight.grad += {amount} * weight"
            if coupled
            else f'    weight.mul_(1 - optimizer.param_groups[0]["lr"] * {amount})',
        ]
    before = [] if rule_decays else [f"    weights = {WEIGHTS}"]
    return PenaltyCode(before, _without_gradients(first), _without_gradients(last), rule_decays)


def _without_gradients(lines: list[str]) -> list[str]:
    if not lines:
        return []
    return ["            with torch.no_grad():", *(f"                {line}" for line in lines)]
