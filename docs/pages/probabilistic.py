"""Models of chance that can be worked out by hand: a Bayes net of three nodes and a hidden Markov model.

Command:  python docs/pages/probabilistic.py        (extra `courses`)
Writes:   docs/probabilistic.md, in a few seconds; every number of a package is set beside the sum over all cases
"""

from __future__ import annotations

import itertools
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

DOCS = Path(__file__).resolve().parent.parent
Case = dict[str, int]

# Rain, a sprinkler that runs less in rain, grass that either makes wet. 1 is yes.
PARENTS = {"rain": (), "sprinkler": ("rain",), "wet": ("rain", "sprinkler")}
YES = {  # the chance of yes, by the values of the parents
    "rain": {(): 0.2},
    "sprinkler": {(0,): 0.4, (1,): 0.01},
    "wet": {(0, 0): 0.0, (0, 1): 0.9, (1, 0): 0.8, (1, 1): 0.99},
}

# Weather that nobody writes down, and what a friend does each day.
HIDDEN, SEEN = ("rainy", "sunny"), ("walks", "shops", "cleans")
START = np.array([0.6, 0.4])
STEP = np.array([[0.7, 0.3], [0.4, 0.6]])
SHOWN = np.array([[0.1, 0.4, 0.5], [0.6, 0.3, 0.1]])
DAYS = (0, 0, 2, 1, 2)  # walks, walks, cleans, shops, cleans


def joint() -> dict[tuple[int, ...], float]:
    """Return the chance of every case of the net: each is a product of one factor per node."""
    found = {}
    for values in itertools.product((0, 1), repeat=len(PARENTS)):
        case = dict(zip(PARENTS, values, strict=True))
        found[values] = math.prod(_factor(node, case) for node in PARENTS)
    return found


def _factor(node: str, case: Case) -> float:
    yes = YES[node][tuple(case[parent] for parent in PARENTS[node])]
    return yes if case[node] else 1 - yes


def by_enumeration(node: str, known: Mapping[str, int] | None = None) -> float:
    """Return the chance that a node is yes, given others: the sum over all cases that fit."""
    known, names = known or {}, list(PARENTS)
    fits = {
        values: p
        for values, p in joint().items()
        if all(values[names.index(name)] == value for name, value in known.items())
    }
    return sum(p for values, p in fits.items() if values[names.index(node)]) / sum(fits.values())


def by_pgmpy(node: str, known: Mapping[str, int] | None = None) -> float:
    """Return the same by pgmpy's elimination of variables."""
    logging.getLogger("pgmpy").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of modules of pgmpy that it imports itself
        from pgmpy.factors.discrete import TabularCPD
        from pgmpy.inference import VariableElimination
        from pgmpy.models import DiscreteBayesianNetwork

        net = DiscreteBayesianNetwork([(parent, node) for node in PARENTS for parent in PARENTS[node]])
        for name, parents in PARENTS.items():
            yes = [YES[name][values] for values in itertools.product((0, 1), repeat=len(parents))]
            net.add_cpds(
                TabularCPD(
                    name,
                    2,
                    [[1 - p for p in yes], yes],
                    evidence=list(parents),
                    evidence_card=[2] * len(parents),
                )
            )
        assert net.check_model()
        found = VariableElimination(net).query([node], evidence=dict(known or {}), show_progress=False)
    return float(found.values[1])


def hidden_markov_model() -> object:
    """Return hmmlearn's model with the chances of above."""
    from hmmlearn.hmm import CategoricalHMM

    model = CategoricalHMM(n_components=len(HIDDEN), init_params="", params="")
    model.startprob_, model.transmat_, model.emissionprob_ = START, STEP, SHOWN
    return model


def of_paths(days: Sequence[int]) -> dict[tuple[int, ...], float]:
    """Return for every course of the weather the chance of it together with what was seen."""
    found = {}
    for path in itertools.product(range(len(HIDDEN)), repeat=len(days)):
        chance = START[path[0]] * math.prod(STEP[a, b] for a, b in itertools.pairwise(path))
        found[path] = float(
            chance * math.prod(SHOWN[state, day] for state, day in zip(path, days, strict=True))
        )
    return found


def by_hmmlearn(days: Sequence[int]) -> tuple[float, tuple[int, ...], float]:
    """Return the log-chance of what was seen (forward), the likeliest course of the weather (Viterbi), its log-chance."""
    model = hidden_markov_model()
    column = np.array(days)[:, None]
    of_path, path = model.decode(column)  # type: ignore[attr-defined]
    return float(model.score(column)), tuple(int(state) for state in path), float(of_path)  # type: ignore[attr-defined]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    sides = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, sides, *rows))


QUESTIONS: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("rain", "P(rain)", {}),
    ("sprinkler", "P(sprinkler)", {}),
    ("wet", "P(wet)", {}),
    ("rain", "P(rain given wet)", {"wet": 1}),
    ("rain", "P(rain given wet and sprinkler)", {"wet": 1, "sprinkler": 1}),
)


def page() -> str:
    cases = joint()
    answers = [
        [said, f"{by_enumeration(node, known):.6f}", f"{by_pgmpy(node, known):.6f}"]
        for node, said, known in QUESTIONS
    ]
    paths = of_paths(DAYS)
    total, likeliest = sum(paths.values()), max(paths, key=lambda path: paths[path])
    score, decoded, of_path = by_hmmlearn(DAYS)
    yes = ("no", "yes")
    days = [
        [str(day + 1), SEEN[what], HIDDEN[likeliest[day]], HIDDEN[decoded[day]]]
        for day, what in enumerate(DAYS)
    ]
    return f"""# Models of chance

Written by `python docs/pages/probabilistic.py` (extra `courses`); every number is computed by it.

A probabilistic graphical model says which quantities hang on which: a node per quantity, an arrow from cause to effect,
and for each node its chances given its parents. Together they are a density of all quantities at once, which is why such
models count as density estimation, beside Gaussian mixtures (`chainrule explore DATA --method gaussian-mixture`).

## Three nodes, every case

Rain makes the grass wet, the sprinkler does too, and in rain it rarely runs: rain → sprinkler, rain → wet, sprinkler →
wet. The chance of a case is the product of three factors. All {len(cases)}, which add up to {sum(cases.values()):g}:

{table(["rain", "sprinkler", "wet", "chance"], [[*(yes[v] for v in values), f"{p:.5f}"] for values, p in cases.items()], 3)}

A marginal is a sum over the cases that fit; a conditional chance is one sum over another. pgmpy's elimination of
variables, which does not write all cases down, gives the same:

{table(["question", "by enumeration", "pgmpy"], answers)}

Wet grass makes rain more likely; that the sprinkler ran explains it away again.

## A chain whose states are hidden

A friend {SEEN[0]}, {SEEN[1]} or {SEEN[2]} each day, depending on weather that is not written down; the weather of a day
depends on that of the day before. A hidden Markov model has three tables: how it begins, how it goes on, what it shows.

For {len(DAYS)} days there are {len(paths)} courses of the weather. The chances of all, together with what was seen, add up to
{total:.8f}. The forward algorithm of hmmlearn needs {len(DAYS)} steps instead of {len(paths)} products and gives e^{score:.6f} = {math.exp(score):.8f}.
The likeliest course of all has {paths[likeliest]:.8f}; Viterbi's algorithm finds it with {math.exp(of_path):.8f}:

{table(["day", "seen", "likeliest of all courses", "Viterbi"], days, 4)}
""".replace("e^-", "e^−")


def main(docs: Path = DOCS) -> None:
    """Write the page into a folder."""
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "probabilistic.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
