"""Learn to cross a frozen lake of 4 × 4 fields from rewards alone: tabular Q-learning, beside what is best.

Command:  python docs/pages/reinforcement.py        (extra `courses`)
Writes:   docs/reinforcement.md and docs/pictures/reinforcement-*.svg, in a few seconds
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from chainrule.report.canvas import add_heading, add_legend, add_plot_axes, new_figure, set_ticks
from chainrule.report.svg import COLOURS, drawing

DOCS = Path(__file__).resolve().parent.parent
SIDE, ARROWS = 4, "←↓→↑"  # the actions of the lake, in its order
DISCOUNT, RATE, EXPLORATION = 0.95, 0.1, 0.3
EPISODES, MOST_STEPS, AVERAGED = 4000, 100, 100


@dataclass(frozen=True)
class Learned:
    """What an agent ended with: values (fields, actions), and the reward of every episode."""

    values: np.ndarray
    rewards: np.ndarray

    @property
    def policy(self) -> np.ndarray:
        return self.values.argmax(1)


def lake(*, is_slippery: bool) -> gymnasium.Env[int, int]:
    """Return a grid of 4 × 4 fields: start top left, a goal bottom right worth 1, four holes that end an episode."""
    return gymnasium.make(
        "FrozenLake-v1", map_name="4x4", is_slippery=is_slippery, max_episode_steps=MOST_STEPS
    )


def learn(
    world: gymnasium.Env[int, int], episodes: int = EPISODES, seed: int = 0, rate: float = RATE
) -> Learned:
    """Q(s, a) ← Q(s, a) + rate · (reward + DISCOUNT · max Q(s′, ·) − Q(s, a)), a random action now and then."""
    random = np.random.default_rng(seed)
    values = np.zeros((SIDE * SIDE, len(ARROWS)))
    rewards = np.zeros(episodes)
    for episode in range(episodes):
        state, _ = world.reset(seed=seed if episode == 0 else None)
        is_over = False
        while not is_over:
            best = np.flatnonzero(values[state] == values[state].max())
            is_free = random.random() < EXPLORATION
            action = int(random.integers(len(ARROWS)) if is_free else random.choice(best))
            after, reward, is_end, is_cut, _ = world.step(action)
            ahead = 0.0 if is_end else values[after].max()
            values[state, action] += rate * (float(reward) + DISCOUNT * ahead - values[state, action])
            state, is_over = after, is_end or is_cut
            rewards[episode] += float(reward)
    return Learned(values, rewards)


def best_values(world: gymnasium.Env[int, int]) -> np.ndarray:
    """Return the values of the best policy by value iteration, which knows the rules that the agent has to find out."""
    rules: Any = world.unwrapped.P  # type: ignore[attr-defined]
    values = np.zeros((SIDE * SIDE, len(ARROWS)))
    for _ in range(2000):
        state_values = values.max(1)
        values = np.array(
            [
                [
                    sum(p * (reward + DISCOUNT * state_values[after] * (not is_end)) for p, after, reward, is_end in rules[s][a])
                    for a in range(len(ARROWS))
                ]
                for s in range(SIDE * SIDE)
            ]
        )  # fmt: skip
    return values


def success(world: gymnasium.Env[int, int], policy: np.ndarray, episodes: int = 1000) -> float:
    """Return the share of episodes in which a policy reaches the goal."""
    reached = 0.0
    for episode in range(episodes):
        state, _ = world.reset(seed=10_000 + episode)
        is_over = False
        while not is_over:
            state, reward, is_end, is_cut, _ = world.step(int(policy[state]))
            is_over = is_end or is_cut
            reached += float(reward)
    return reached / episodes


def path(world: gymnasium.Env[int, int], policy: np.ndarray) -> list[int]:
    """Return the fields that a policy visits from the start to the end."""
    state, _ = world.reset(seed=0)
    fields, is_over = [int(state)], False
    while not is_over:
        state, _, is_end, is_cut, _ = world.step(int(policy[state]))
        fields.append(int(state))
        is_over = is_end or is_cut
    return fields


def draw_lakes(found: Sequence[tuple[str, np.ndarray]], fields: str, file: Path) -> None:
    """Draw the value of each field, darker where it is higher, and the action that is best there."""
    with drawing():
        figure = new_figure(400 * len(found), 430, COLOURS["paper"])
        for place, (name, values) in enumerate(found):
            axes = figure.add_axes(((place + 0.05) / len(found), 0.04, 0.9 / len(found), 0.84))
            axes.set(xlim=(0, SIDE), ylim=(SIDE, 0), aspect="equal")
            axes.axis("off")
            add_heading(axes, name, up=12, weight="bold")
            for state, field in enumerate(fields):
                _draw_field(axes, state, field, values[state])
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def _draw_field(axes: Any, state: int, field: str, values: np.ndarray) -> None:
    from matplotlib.patches import Rectangle

    row, column = divmod(state, SIDE)
    colour = {"H": COLOURS["rival"], "G": COLOURS["good"]}.get(field, COLOURS["ours"])
    strength = 0.75 if field in "HG" else 0.08 + 0.6 * float(values.max())
    box = Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, color=colour, alpha=strength, lw=0)
    axes.add_patch(box)
    text = {"H": "hole", "G": "goal"}.get(field) or ARROWS[int(values.argmax())]
    axes.text(column + 0.5, row + 0.45, text, ha="center", va="center", size=22 if text in ARROWS else 15)
    if field not in "HG":
        axes.text(column + 0.5, row + 0.8, f"{values.max():.2f}", ha="center", va="center", size=12)


def draw_course(found: Sequence[tuple[str, np.ndarray]], file: Path) -> None:
    """Draw the mean reward of the last episodes, episode by episode."""
    with drawing():
        figure = new_figure(760, 360, COLOURS["paper"])
        axes = add_plot_axes(figure, width=760, top=60)
        for (name, rewards), colour in zip(found, (COLOURS["ours"], COLOURS["wrong"]), strict=False):
            window = min(AVERAGED, len(rewards))
            course = np.convolve(rewards, np.ones(window) / window, "valid")
            axes.plot(np.arange(len(course)) + window, course, color=colour, lw=2, label=name)
        axes.set(ylim=(0, 1.02), xlim=(0, len(found[0][1])))
        set_ticks(axes, whole_x=True)
        axes.set_xlabel("episode")
        add_legend(axes)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def page(calm: dict[str, Any], slippery: dict[str, Any], episodes: int) -> str:
    steps = len(calm["path"]) - 1
    visited = " → ".join(f"{state // SIDE + 1},{state % SIDE + 1}" for state in calm["path"])
    return f"""# Learning from reward

Written by `python docs/pages/reinforcement.py` (extra `courses`); every number is computed by it.

Supervised learning is told the right answer, unsupervised learning is told nothing, and reinforcement learning is told
how good what it did turned out, often much later. The smallest example is a grid: an agent starts top left on a lake of
{SIDE} × {SIDE} fields and moves left, down, right or up. Four fields are holes, which end the episode with nothing; the
goal bottom right is worth 1. Nobody tells the agent the rules. (The game of Go is the same task with more fields.)

## Tabular Q-learning

The agent keeps a table: for each field and action the reward that it expects from there on, a step later worth
{DISCOUNT:g} as much. After each step it corrects one cell,

    Q(s, a) ← Q(s, a) + {RATE:g} · (reward + {DISCOUNT:g} · max Q(s′, ·) − Q(s, a)),

and goes on with the action of the highest value, or in {100 * EXPLORATION:.0f} % of the steps with any. The world is
[gymnasium](https://gymnasium.farama.org)'s FrozenLake.

![Values and best actions](pictures/reinforcement-lakes.svg)

After {episodes:,} episodes without slipping the policy reaches the goal in {steps} steps (row, column: {visited});
at least {2 * (SIDE - 1)} are needed. From the start the best policy is worth {DISCOUNT:g}^{steps - 1} = {DISCOUNT ** (steps - 1):.4f}; the table says
{calm["start"]:.4f}. Along that path it differs from value iteration, which knows the rules, by at most {calm["error"]:.0e}.

## When the ice is slippery

Then only one move in three goes where it was meant to, the others to a side. The agent learns to push away from holes.
Its policy reaches the goal in {100 * slippery["success"]:.0f} % of 1,000 new episodes of at most {MOST_STEPS} steps; the best policy reaches it in
{100 * slippery["best"]:.0f} %, one with some fixed action per field, drawn at random, in {100 * slippery["random"]:.0f} %.

![Mean reward of the last {AVERAGED} episodes](pictures/reinforcement-course.svg)

While it learns, it earns less than its policy could: it still tries other actions.
"""


def main(docs: Path = DOCS, *, episodes: int = EPISODES) -> None:
    """Write page and pictures into a folder."""
    pictures = docs / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    calm, slippery = lake(is_slippery=False), lake(is_slippery=True)
    sure, unsure = learn(calm, episodes), learn(slippery, 5 * episodes)
    best, best_slippery = best_values(calm), best_values(slippery)
    visited = path(calm, sure.policy)
    on_path = [(state, int(sure.policy[state])) for state in visited[:-1]]
    fields = b"".join(calm.unwrapped.desc.reshape(-1)).decode()  # type: ignore[attr-defined]
    random = np.random.default_rng(0).integers(len(ARROWS), size=SIDE * SIDE)
    draw_lakes([("learned, no slipping", sure.values), ("learned, slippery", unsure.values)], fields, pictures / "reinforcement-lakes.svg")  # fmt: skip
    draw_course([("no slipping", sure.rewards), ("slippery", unsure.rewards[: len(sure.rewards)])], pictures / "reinforcement-course.svg")  # fmt: skip
    text = page(
        {
            "path": visited,
            "start": float(sure.values[0].max()),
            "error": max(abs(float(sure.values[at] - best[at])) for at in on_path),
        },
        {
            "success": success(slippery, unsure.policy),
            "best": success(slippery, best_slippery.argmax(1)),
            "random": success(slippery, random),
        },
        episodes,
    )
    (docs / "reinforcement.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
