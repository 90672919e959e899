"""What the page of a search shows, gathered from its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.core.files import write_atomic
from chainrule.jobs.search_folder import SearchFolder
from chainrule.jobs.search_rungs import at_rung
from chainrule.jobs.search_trials import Trial
from chainrule.report.search_page import SearchSummary, ShownTrial, search_page
from chainrule.train.search_importance import find_importance

if TYPE_CHECKING:
    from chainrule.jobs.search import Search


def write_search_report(
    folder: SearchFolder, made: Search, test_score: float | None, search_seconds: float
) -> None:
    """Write report.html of a search."""
    summary = summarise_search(made, test_score, search_seconds)
    write_atomic(folder.path / "report.html", search_page(summary).render().encode())


def summarise_search(made: Search, test_score: float | None, search_seconds: float) -> SearchSummary:
    """Return all that the page of a search shows."""
    best = made.ranking
    ranking = [*best, *(trial for trial in made.trials if trial.score is None)]
    halves = made.way.method == "halving"
    compared = at_rung(made.trials, made.store, 0) if halves else made.trials  # with each other
    scored = [(trial.values, trial.score) for trial in compared if trial.score is not None]
    importance = find_importance(made.way.space, [v for v, _ in scored], [s for _, s in scored])
    recipe = made.candidates.recipe
    return SearchSummary(
        data=recipe.data["name"],
        model=recipe.settings.model or "",
        method=made.way.method,
        metric=made.metric.name,
        larger_is_better=made.metric.larger_is_better,
        folds=made.candidates.folds,
        rows=made.candidates.material.split.counts(),
        trials=[_shown(trial) for trial in ranking],
        tried=[trial.values for trial in compared],
        scores=[trial.score for trial in compared],
        rung_epochs=max((trial.epochs for trial in compared), default=0) if halves else None,
        shares={} if importance is None else importance.shares,
        together=0.0 if importance is None else importance.together,
        means={} if importance is None else importance.means,
        test_score=test_score,
        networks=sum(len(trial.networks) for trial in made.trials),
        search_seconds=search_seconds,
        command=recipe.command,
    )


def _shown(trial: Trial) -> ShownTrial:
    return ShownTrial(
        number=trial.number,
        values=trial.values,
        score=trial.score,
        spread=trial.spread,
        epochs=trial.epochs,
        failure=trial.failure,
    )
