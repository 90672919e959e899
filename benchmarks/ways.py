"""Claim: on a processor with fast bfloat16, convolutional networks train in a fraction of the time that plain float32 takes.

Command:  python benchmarks/ways.py [--works cnn,lenet,mlp,resnet18] [--ways …] [--rounds 9] [--bits 0]
Work:     one update on a prepared batch, gradient descent with momentum, cross-entropy, all threads of the machine:
          cnn       conv 5x5 of 32, pool, conv 5x5 of 64, pool, dense 256, 10; 32x32x3, 128 rows
          lenet     the catalogue's, 28x28x1, 128 rows
          mlp       784-512-512-10, 128 rows
          resnet18  with the stem for small pictures (3x3, no pooling); 32x32x3, 64 rows
Sides:    cr.AutogradStep in each of its ways: plain, channels-last, bfloat16, bfloat16+channels-last, winograd,
          bfloat16+winograd, compiled, all (what a careful user writes by hand: bfloat16, channels last, compiled)
Expected: cnn: best / plain <= 1/3.5; resnet18: <= 1/4 (median of the paired ratios). Needs matrix units for bfloat16:
          where its products are only twice as fast as those of float32, both lie beyond the peak of the machine

Also prints how far loss and gradient are from plain ones at the same weights. `--bits 20` makes three updates twenty times
in each way and counts how often all bits of the weights are those of the first time.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from harness import interleaved, ratio_interval, record, timed
from torch import Tensor, nn

import chainrule as cr
from chainrule.core.allocator import keep_freed_memory
from chainrule.nn.initial import initialise_

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels-last": {"channels_last": True},
    "bfloat16": {"precision": torch.bfloat16},
    "bfloat16+channels-last": {"precision": torch.bfloat16, "channels_last": True},
    "winograd": {"channels_last": True, "winograd": True},
    "bfloat16+winograd": {"precision": torch.bfloat16, "channels_last": True, "winograd": True},
    "compiled": {"compiled_rows": 0},  # 0: as many as the batch has
    "all": {"precision": torch.bfloat16, "channels_last": True, "compiled_rows": 0},
}


def cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 8 * 8, 256), nn.ReLU(), nn.Linear(256, 10)),
    )


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut. Source: He et al. 2015, figure 2."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(after), nn.BatchNorm2d(after)])
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        inside = F.relu(self.norms[0](self.first(x)))
        return F.relu(self.norms[1](self.second(inside)) + self.shortcut(x))


def resnet18() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    for before, after in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers += [Block(before, after, 1 + (before < after)), Block(after, after, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


WORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {  # network, batch, updates a round
    "cnn": (cnn, (128, 3, 32, 32), 5),
    "lenet": (lambda: cr.build("lenet", inputs=(1, 28, 28), units=10), (128, 1, 28, 28), 20),
    "mlp": (lambda: cr.build("mlp", inputs=784, units=10, hidden=(512, 512)), (128, 784), 20),
    "resnet18": (resnet18, (64, 3, 32, 32), 1),
}


def make_step(work: str, way: str) -> tuple[cr.AutogradStep, Tensor, Tensor]:
    """Return the step in a way of its own, and its batch: rows shifted by their class, so that there is something to learn."""
    make, shape, _ = WORKS[work]
    y = torch.arange(shape[0]) % 10
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x += (y - 4.5).view(-1, *[1] * (len(shape) - 1)) / 4
    model = make()
    initialise_(model, 0)
    objective = cr.Objective(model, cr.MultiClass([str(k) for k in range(10)])).train()
    settings = dict(WAYS[way])
    if "compiled_rows" in settings:
        settings["compiled_rows"] = shape[0]
    rule = cr.optimizer("momentum", objective.parameters(), learning_rate=1e-3)
    return cr.AutogradStep(objective, rule, **settings), x, y


def compare(work: str, ways: list[str], rounds: int) -> dict[str, Any]:
    """Print one network's times and distances from plain execution, and return them."""
    steps = {way: make_step(work, way) for way in ways}
    results: dict[str, Any] = {}
    reference: tuple[float, Tensor] | None = None
    for way, (step, x, y) in steps.items():
        step.prepare(0, 1.0)
        began = timed(lambda step=step, x=x, y=y: step.differentiate(x, y))
        loss = step.differentiate(x, y).loss.item()
        gradient = torch.cat(
            [p.grad.reshape(-1).double() for p in step.objective.parameters() if p.grad is not None]
        )
        reference = reference or (loss, gradient)
        results[way] = {
            "first": began,
            "loss apart": abs(loss / reference[0] - 1),
            "cosine": torch.cosine_similarity(reference[1], gradient, dim=0).item(),
        }
    updates = WORKS[work][2]

    def side(step: cr.AutogradStep, x: Tensor, y: Tensor) -> Callable[[], float]:
        return lambda: timed(lambda: [step(x, y) for _ in range(updates)]) / updates

    found = interleaved({way: side(*steps[way]) for way in ways}, rounds)
    print(f"\n{work}: milliseconds an update, times plain, first batch, loss apart, cosine of the gradients")
    for way, seconds in found.items():
        ratio, low, high = ratio_interval(seconds, found[ways[0]])
        results[way] |= {
            "milliseconds": statistics.median(seconds) * 1e3,
            "ratio": ratio,
            "low": low,
            "high": high,
        }
        row = results[way]
        print(
            f"  {way:23} {row['milliseconds']:8.2f}   1/{1 / ratio:.2f} (1/{1 / low:.2f} to 1/{1 / high:.2f})   "
            f"{row['first']:6.2f} s   {row['loss apart']:.2%}   {row['cosine']:.5f}"
        )
    return results


def repeats(work: str, way: str, times: int) -> int:
    """Make three updates again and again from the same start; return how often the weights end in the same bits."""
    ends = []
    for _ in range(times):
        step, x, y = make_step(work, way)
        for number in range(3):
            step.prepare(number, 1.0)
            step(x, y)
        ends.append(torch.cat([t.reshape(-1).float() for t in step.objective.state_dict().values()]))
    return sum(torch.equal(end, ends[0]) for end in ends)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--works", default=",".join(WORKS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--bits", type=int, default=0)
    given = parser.parse_args()
    keep_freed_memory()  # as every run does; plain execution gains by it too
    works, ways = given.works.split(","), given.ways.split(",")
    result: dict[str, Any] = {"rounds": given.rounds, "threads": torch.get_num_threads()}
    for work in works:
        if given.bits:
            result[work] = {way: repeats(work, way, given.bits) for way in ways}
            print(f"{work}: {result[work]} of {given.bits} times the same bits")
        else:
            result[work] = compare(work, ways, given.rounds)
    record("ways_bits" if given.bits else "ways", result)


if __name__ == "__main__":
    main()
