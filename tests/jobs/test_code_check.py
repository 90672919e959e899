"""Scripts that would not do what their run did are not handed out, and what differs is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainrule.core.errors import RunError
from chainrule.jobs.code_check import check_script
from chainrule.jobs.material import make_material, read_again
from chainrule.train.recipe import Recipe
from tests.jobs.scripts import houses, train


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("SEED = 0", "SEED = 1", ": the rows of the parts and the inputs would not be those of the run"),
        ("inputs = prepare(", "inputs = 1.001 * prepare(", ": the inputs would not be those of the run"),
        ("targets = torch.tensor(targets)", "targets = 1 - torch.tensor(targets)", ": the targets would not be those of the run"),
        ("def load():", "def load():\n    raise KeyError('area')", r"its reading fails \(KeyError: 'area'\)"),
    ],
    ids=["rows", "inputs", "targets", "reading"],
)  # fmt: skip
def test_a_script_that_differs_is_not_handed_out(tmp_path: Path, right: str, wrong: str, said: str) -> None:
    run = train(houses(tmp_path / "houses.csv"), tmp_path, target="garden").run
    recipe = Recipe.from_json(run.folder.recipe(), "the recipe")
    source = read_again(recipe, None, run.folder)
    material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
    script = run.code()
    check_script(script, recipe, material, run.path)
    assert script.count(right) == 1
    with pytest.raises(RunError, match=said):
        check_script(script.replace(right, wrong), recipe, material, run.path)
