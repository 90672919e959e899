"""Claim: explicit backprop makes an update of a small dense network at a fraction of what PyTorch's usual step takes.

Command:  python benchmarks/dense_step.py [--rounds 15]
Work:     one update on a prepared batch, gradient descent with momentum, cross-entropy, float32, one thread:
          MLP 64-32-32-10 with 32 rows, MLP 784-512-512-10 with 128
Sides:    dense     cr.DenseStep: `prepare` with the rate of the schedule and the call, loss checked for finiteness
          bfloat16  cr.DenseStep with products in bfloat16; weights, loss and updates stay float32
          autograd  cr.AutogradStep, the same calls
          plain     nn.Sequential, nn.CrossEntropyLoss, torch.optim.SGD: zero_grad, forward, backward, step; nothing checked
          fused     plain with torch.optim.SGD(fused=True)
Expected: dense / plain <= 1/6 for the small network; for the large one, where float32 stands at the peak of its products,
          bfloat16 / plain <= 1/1.6 (median of the paired ratios; on a processor with fast bfloat16)

Each round times some hundred updates of every side in turn, by the clock and by the processor time of this process. On a
machine that others use the clock is wrong by what they take: the least processor time of all rounds is then the figure
to read.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from harness import ratio_interval, record
from torch import Tensor, nn

import chainrule as cr

RATE, MOMENTUM = 1e-4, 0.9  # so low that no gradient dies away while it is timed: numbers near 0 are slow


@dataclass(frozen=True)
class Work:
    """A network and its batch."""

    widths: tuple[int, ...]
    rows: int
    updates: int  # in one round
    goal: float
    side: str  # that shall reach the goal

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.widths))}, batch {self.rows}"

    def batch(self) -> tuple[Tensor, Tensor]:
        drawn = torch.Generator().manual_seed(0)
        inputs = torch.randn(self.rows, self.widths[0], generator=drawn)
        return inputs, torch.randint(0, self.widths[-1], (self.rows,), generator=drawn)

    def network(self) -> nn.Sequential:
        torch.manual_seed(0)
        first, *hidden, last = self.widths
        return cr.build("mlp", inputs=first, units=last, hidden=tuple(hidden))


WORKS = (
    Work((64, 32, 32, 10), 32, 400, 1 / 6, "dense"),
    Work((784, 512, 512, 10), 128, 10, 1 / 1.6, "bfloat16"),
)


def our_side(work: Work, kind: str) -> Callable[[], object]:
    """Return one update by a step of chainrule's."""
    inputs, targets = work.batch()
    objective = cr.Objective(work.network(), cr.MultiClass([str(k) for k in range(work.widths[-1])])).train()
    make_rule = functools.partial(cr.optimizer, "momentum", learning_rate=RATE, momentum=MOMENTUM)
    step = (
        cr.AutogradStep(objective, make_rule(objective.parameters()))
        if kind == "autograd"
        else cr.DenseStep(objective, make_rule, precision=torch.bfloat16 if kind == "bfloat16" else None)
    )

    def update() -> None:
        step.prepare(0, 1.0)
        step(inputs, targets)

    return update


def plain_side(work: Work, **settings: Any) -> Callable[[], object]:
    """Return one update as PyTorch's documentation writes it."""
    inputs, targets = work.batch()
    layers: list[nn.Module] = []
    for before, after in zip(work.widths, work.widths[1:], strict=False):
        layers += [nn.Linear(before, after), nn.ReLU()]
    model, loss_function = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, **settings)

    def update() -> None:
        optimizer.zero_grad()
        loss_function(model(inputs), targets).backward()
        optimizer.step()

    return update


def measure(
    sides: dict[str, Callable[[], object]], updates: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of an update, by round: those of the clock, and those of the processor."""
    found: dict[str, dict[str, list[float]]] = {name: {"clock": [], "processor": []} for name in sides}
    for number in range(rounds + 1):  # the first warms up
        for name, update in sides.items():
            clock, processor = time.perf_counter(), time.process_time()
            for _ in range(updates):
                update()
            spent = {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}
            for kind, seconds in spent.items():
                if number:
                    found[name][kind].append(seconds / updates)
    return found


def report(work: Work, found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Print one network's figures and return them."""
    print(
        f"\n{work.name}: microseconds an update (median by the clock, least of the processor), side / plain"
    )
    result: dict[str, Any] = {}
    for name, kinds in found.items():
        ratio, low, high = ratio_interval(kinds["clock"], found["plain"]["clock"])
        least = min(kinds["processor"]) / min(found["plain"]["processor"])
        clock, processor = statistics.median(kinds["clock"]) * 1e6, min(kinds["processor"]) * 1e6
        result[name] = {
            "clock": clock, "processor": processor, "ratio": ratio, "low": low, "high": high, "least ratio": least,
        }  # fmt: skip
        said = f"1/{1 / ratio:.2f} (95 % interval 1/{1 / low:.2f} to 1/{1 / high:.2f}), of least times 1/{1 / least:.2f}"
        print(f"  {name:9} {clock:9.1f} {processor:9.1f}   {said}")
    reached = result[work.side]["ratio"] <= work.goal
    print(f"  goal: {work.side} / plain <= 1/{1 / work.goal:g}: {'reached' if reached else 'missed'}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    result: dict[str, Any] = {"rounds": rounds}
    for work in WORKS:
        sides = {
            "dense": our_side(work, "dense"),
            "plain": plain_side(work),
            "bfloat16": our_side(work, "bfloat16"),
            "autograd": our_side(work, "autograd"),
            "fused": plain_side(work, fused=True),
        }
        result[work.name] = report(work, measure(sides, work.updates, rounds))
    record("dense_step", result)


if __name__ == "__main__":
    main()
