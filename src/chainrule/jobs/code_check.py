"""A script before it is handed out: what it reads and prepares is compared with what the run was trained on."""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from chainrule.core.errors import ChainruleError, RunError
from chainrule.core.text import visible
from chainrule.jobs.classical import make_fitting
from chainrule.jobs.code_split import PARTS
from chainrule.jobs.material import Material
from chainrule.jobs.workshop import make_task
from chainrule.train.recipe import Recipe


def check_script(script: str, recipe: Recipe, material: Material, path: Path) -> None:
    """Let the script read and prepare, and compare with what the run was trained on.

    Raises: RunError if anything differs, or the script fails
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.py"
        file.write_text(script, encoding="utf-8")
        try:
            inputs, targets, rows = runpy.run_path(str(file))["load"]()[:3]
        except ChainruleError:
            raise
        except Exception as error:  # whatever the data makes it raise: then it is not handed out
            raise RunError(
                f"{path} cannot be written as a script: its reading fails ({type(error).__name__}: {visible(error)})"
            ) from error
    differing = [what for what, equal in _compare(recipe, material, inputs, targets, rows) if not equal]
    if differing:
        raise RunError(
            f"{path} cannot be written as a script: {' and '.join(differing)} would not be those of the run"
        )


def _compare(
    recipe: Recipe,
    material: Material,
    inputs: Any,
    targets: Any,
    rows: Sequence[Any],
) -> Iterator[tuple[str, bool]]:
    assert material.examples.targets is not None
    wanted = [material.rows(n) for n in PARTS if len(material.rows(n))]
    yield "the rows of the parts", len(wanted) == len(rows) and all(map(np.array_equal, wanted, rows))
    assert isinstance(material.inputs, torch.Tensor)
    if recipe.is_classical:
        fitting = make_fitting(recipe, material)
        yield "the inputs", np.array_equal(inputs, fitting.matrix(np.arange(len(inputs))))
        yield "the targets", np.array_equal(targets, fitting.wanted(np.arange(len(inputs))))
        return
    # Another layout in memory has other kernels and so other bits.
    is_alike = inputs.stride() == material.inputs.stride()
    yield "the inputs", is_alike and torch.equal(inputs, material.inputs)
    yield (
        "the targets",
        torch.equal(targets, make_task(recipe, material, None).encode(material.examples.targets)),
    )
