"""The command `cross-validate`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

from chainrule.apps import output
from chainrule.apps.asked import Asked, takes_settings
from chainrule.apps.flags import DATA_NEEDED, FOLDS, JSON, QUIET, REPEATS, RUNS, to_file
from chainrule.core.files import output_ending

IN_NO_FOLD = "part of all rows that is in no fold; without it, none is"
TO_PAGE = Annotated[
    Path | None,
    to_file(
        "File to write: .html the page, .png or .svg the picture, .json the values; without it a page here."
    ),
]
EXAMPLES = {
    "cross_validate": (
        "chainrule cross-validate iris",
        "chainrule cross-validate houses.csv --target price --folds 10 --repeats 3",
        "chainrule cross-validate wine --model random-forest",
        "chainrule cross-validate scans.csv --split group:patient --metric auc",
    ),
}


@takes_settings(test=IN_NO_FOLD)
def cross_validate(
    data: DATA_NEEDED,
    *,
    asked: Asked,
    folds: FOLDS = 5,
    repeats: REPEATS = 1,
    output_file: TO_PAGE = None,
    runs: RUNS = Path("runs"),
    json: JSON = False,
    quiet: QUIET = False,
) -> None:
    """Judge a model by folds of DATA: each part is held out once, and the others train. Nothing that is trained is kept."""
    with output.printer(json=json, quiet=quiet) as out:
        request = asked.request(data, runs=runs, track=out.track)
        from chainrule.jobs.cross_validate import run_cross_validation
        from chainrule.jobs.show import returned
        from chainrule.report.cross_validation import ENDINGS

        if output_file is not None:
            output_ending(output_file, ENDINGS)
        found = returned(run_cross_validation(request, folds=folds, repeats=repeats), out)
        found = dataclasses.replace(found, command=output.command_line())
        output.say_and_save(
            out, "cross-validation", found, output_file or page_of("cross-validate", found.data, found.model)
        )


def page_of(*words: str) -> Path:
    """Return the file for a page that was given no name, such as compare-houses.html.

    >>> page_of("compare", "data/my houses.csv") == Path("compare-my-houses.html")
    True
    """
    stems = [re.sub(r"[^\w.-]+", "-", Path(word).stem).strip("-.") or "data" for word in words]
    return Path("-".join(stems) + ".html")
