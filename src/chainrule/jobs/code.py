"""`code`: a run as one script of plain PyTorch, or scikit-learn, that reads, trains and judges as the run did.

A script is put together from parts, each with what this run needs and nothing else. Before it is handed out, its reading
and preparing is done once and compared with what the run was trained on; settings that no part knows are refused.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from chainrule.catalog import MODELS
from chainrule.core.errors import RunError
from chainrule.core.files import output_ending, write_atomic
from chainrule.core.text import visible
from chainrule.jobs.code_augmentation import augmentation_part
from chainrule.jobs.code_check import check_script
from chainrule.jobs.code_classical import classical_parts, describe_classical
from chainrule.jobs.code_ensemble import MEMBER, WRITTEN_KINDS, ensemble_part, of_a_member
from chainrule.jobs.code_judging import check_metric, judging_part
from chainrule.jobs.code_network import describe, network_part, noisy_layers, other_than_in_training
from chainrule.jobs.code_prepare import prepare_part
from chainrule.jobs.code_read import ReadCode
from chainrule.jobs.code_reading import reading_code
from chainrule.jobs.code_split import PARTS, split_part
from chainrule.jobs.code_text import WIDTH, Part, join
from chainrule.jobs.code_training import Facts, training_part
from chainrule.jobs.ensembles import network_recipe
from chainrule.jobs.folder import find
from chainrule.jobs.material import Material, make_material, read_again
from chainrule.jobs.workshop import empty_task, make_model, make_task
from chainrule.train.recipe import Recipe
from chainrule.train.settings import Settings
from chainrule.train.task import Classification

# Settings that a script follows, or that need nothing in it. A setting that is not here is refused unless it is open.
WRITTEN = frozenset({
    "model", "initial", "task", "loss", "epochs", "batch_size", "shuffle", "optimizer", "learning_rate", "schedule", "weight_decay", "dropout",
    "label_smoothing", "decay_with_loss", "clip_norm", "scaling", "picture_size", "split", "metric", "validation", "test", "patience", "seed",
    "device", "plan", "by", "class_weight", "folds", "columns", "decimal", "encoding", "sheet", "merge_classes", "memory",
    "l1", "penalty", "clip_value", "augment", "warmup_epochs", "drop_epochs", "drop_factor", "decay_rate", "schedule_patience", "lowest_rate",
    "momentum", "beta1", "beta2", "rho", "epsilon", "members", "vote",
})  # fmt: skip

MIX = '''
def mix(seed, *counters):
    """A seed of its own for each use of chance (SplitMix64). Others would do; these end in the weights of the run."""
    mask, golden = (1 << 64) - 1, 0x9E3779B97F4A7C15

    def scramble(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    state = scramble(seed + golden & mask)
    for counter in counters:
        number = crc32(counter.encode()) | 1 << 40 if isinstance(counter, str) else counter
        state = scramble((state ^ number) + golden & mask)
    return scramble(state) >> 1
'''
GENERATOR = '''
def generator(*counters):
    """A source of random numbers that depends on SEED and counters alone: what for, then which network, layer or epoch."""
    return torch.Generator().manual_seed(mix(SEED, *counters))
'''
FOLDED = "    # The run judged it by networks that each held some rows out; this is the one that it kept.\n"


def code_file(run: str, output: Path | None, runs: Path) -> str:
    """Write a run as a script; returns what belongs on standard output.

    Raises: SettingError for an output that is no .py; RunError for a run that cannot be written as a script
    """
    from chainrule.jobs.run import Run

    if output is not None:
        output_ending(output, [".py"])
    script = Run(find(run, runs).path).code()
    if output is None:
        return script
    write_atomic(output, script.encode())
    return f"{script.count(chr(10))} lines in {visible(output)}\n"


def write_script(recipe: Recipe, folder: Any) -> str:
    """Return a run as a script.

    Raises: RunError saying what of the run cannot be written
    """
    try:
        _check_settings(recipe)
        source = read_again(recipe, None, folder)
        material = make_material(source, recipe.schema.encode(source), recipe.schema, recipe.settings)
        if not isinstance(material.inputs, torch.Tensor):
            raise RunError("its data was kept on disk (--memory), and a script holds all of it in memory")
        if not recipe.is_classical:
            check_metric(recipe, material)
        read = reading_code(recipe, material)
        script = join(_title(recipe), _parts(recipe, material, read))
    except RunError as error:
        raise RunError(f"{folder.path} cannot be written as a script: {error}") from error
    check_script(script, recipe, material, folder.path)
    return script


def _title(recipe: Recipe) -> str:
    if recipe.is_classical:
        return describe_classical(recipe)
    ours, torch_version = (_plain_version(recipe.versions.get(name, "")) for name in ("chainrule", "torch"))
    whose = "the same weights" if recipe.plan.is_plain else "the weights of --plan plain"
    ends = f"it ends with {whose} bit for bit"
    if (
        recipe.settings.members is not None and not recipe.plan.is_plain
    ):  # no plan can be asked for its members
        ends = "it ends with the weights of the run but for rounding"
    went = (
        "" if recipe.plan.is_plain else f"The run went by the plan {recipe.plan.way}; this is plain PyTorch. "
    )
    said = (
        f"Written by chainrule {ours}. {went}On the machine of the run, with torch {torch_version}, "
        f"{ends}; it saves them beside itself. From the top: settings, data, network, judging, "
        "training, chance."
    )
    return f"{describe(recipe)}\n\n{textwrap.fill(said, WIDTH)}\n"


def _plain_version(text: str) -> str:
    """Return a version if it looks like one: a recipe comes from a file, and nothing in it may become code."""
    return text if re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", text) else "of another kind"


def _check_settings(recipe: Recipe) -> None:
    """Refuse what no part of a script knows."""
    for given in recipe.given:
        raise RunError(f"its {given} was handed over as an object, whose code the run does not hold")
    if recipe.plan.device != "cpu":
        raise RunError(f"its plan is {recipe.plan}; scripts are written for the processor")
    standard = Settings()
    for item in fields(Settings):
        value = getattr(recipe.settings, item.name)
        is_written = item.name in WRITTEN or (item.name == "ensemble" and value in WRITTEN_KINDS)
        if value and not is_written and value != getattr(standard, item.name):
            raise RunError(f"the setting {item.name} ({visible(value)}) is not yet supported in scripts")


def _parts(recipe: Recipe, material: Material, read: ReadCode) -> Iterator[Part]:
    """Give the parts of a script: the data, then the network or the classical model."""
    split, division = split_part(material, read.marks)
    prepare, arguments = prepare_part(material, recipe.settings.scaling)
    seed = Part()
    seed.setting("SEED", recipe.settings.seed)
    yield read.part
    yield seed
    yield split
    yield prepare
    if recipe.is_classical:
        yield from classical_parts(recipe, material, read, division, arguments)
        if any("mix(" in text for text in split.functions):
            yield Part().uses("zlib:crc32").with_function(MIX)
    else:
        yield from _network_parts(recipe, material, read, division, arguments)


def _network_parts(
    recipe: Recipe, material: Material, read: ReadCode, division: str, arguments: str
) -> Iterator[Part]:
    settings = recipe.settings
    units = empty_task(recipe).units
    own = network_recipe(recipe)
    model = make_model(own, units, None)
    foreign = settings.model not in MODELS
    default_loss = {"regression": "", "binary": "binary-cross-entropy"}.get(material.kind, "cross-entropy")
    smooths = (
        bool(settings.label_smoothing)
        and material.kind != "regression"
        and settings.loss in (None, default_loss)
    )
    counts = material.split.counts()
    otherwise = other_than_in_training(model) or "no dropout" * foreign
    leaves_one = isinstance(settings.batch_size, int) and counts["train"] % settings.batch_size == 1
    network = network_part(own, model, units, leaves_one=leaves_one)
    facts = Facts(
        validates=bool(counts["validation"]),
        noisy=noisy_layers(model),
        foreign=foreign,
        switches=bool(otherwise),
        smooths=smooths,
        has_units=material.kind == "regression",
    )
    yield _load_part(material, read, division, arguments)
    if settings.members is not None:
        yield Part().with_function(MEMBER)
    yield _of_one(recipe, network)
    task = make_task(recipe, material, None)
    weights = task.class_weights if isinstance(task, Classification) else None
    listed = None if weights is None else weights.tolist()
    yield judging_part(recipe, smooths=smooths, switches=otherwise, largest=max(counts["validation"], counts["test"]), weights=listed)  # fmt: skip
    yield augmentation_part(settings.augment)
    yield _of_one(recipe, training_part(own.settings, facts))
    arguments = _validation(recipe, material)
    if settings.members is not None:
        yield ensemble_part(recipe, arguments)
    yield _of_one(recipe, Part().uses("zlib:crc32", "torch").with_function(GENERATOR))
    yield Part().with_function(MIX)
    yield _main(recipe, material, arguments)


def _of_one(recipe: Recipe, part: Part) -> Part:
    """Return a part of the network's own: in an ensemble it is that of a member."""
    return part if recipe.settings.members is None else of_a_member(part)


def _validation(recipe: Recipe, material: Material) -> str:
    """Return what `fit` takes beside the training rows, as further arguments."""
    units = ", mean, std" * (material.kind == "regression" and bool(recipe.settings.metric))
    return f", validation{units}" * bool(len(material.rows("validation")))


def _load_part(material: Material, read: ReadCode, division: str, arguments: str) -> Part:
    """Write `load`: from the data to tensors."""
    part = Part().uses("torch")
    counts = material.split.counts()
    present = [n for n in PARTS if counts[n]]
    is_regression = material.kind == "regression"
    lines = [
        f"{', '.join(read.names)} = read_data()",
        f"{', '.join(present)} = split({division})",
        f"inputs = prepare({arguments})",
    ]
    returned = [f"[torch.from_numpy(part) for part in ({', '.join(present)}{',' * (len(present) == 1)})]"]
    if is_regression:
        lines += [
            "mean, std = targets[train].mean(0), targets[train].std(0)",
            "targets = torch.tensor((targets - mean) / std, dtype=torch.float32)",
        ]
        returned.append("(torch.from_numpy(mean), torch.from_numpy(std))")
    else:
        lines.append("targets = torch.tensor(targets)")
    said = "the rows of each part" + ("; mean and deviation of the targets" if is_regression else "")
    body = "".join(f"    {line}\n" for line in [*lines, f"rows = {returned[0]}"])
    part.functions.append(
        f'def load():\n    """Inputs and targets as tensors; {said}."""\n{body}'
        f"    return {', '.join(['inputs', 'targets', 'rows', *returned[1:]])}"
    )
    return part


def _main(recipe: Recipe, material: Material, validation: str) -> Part:
    counts = material.split.counts()
    present = [n for n in PARTS if counts[n]]
    units = ", mean, std" * (material.kind == "regression")
    model = f"    model = build_model()\n{FOLDED * bool(recipe.settings.folds)}    fit(model, inputs, targets, train{validation})\n"
    if recipe.settings.members is not None:
        model = f"    model = Ensemble(members_of(inputs, targets, train{validation}))\n"
    rows = f"({', '.join(present)}{',' * (len(present) == 1)})"
    loaded = f"inputs, targets, {rows}{', (mean, std)' if units else ''} = load()"
    judged = "test" if counts["test"] else present[-1]
    part = Part().uses("torch", "pathlib:Path", "safetensors.torch:save_file")
    part.settings += ['WEIGHTS = Path(__file__).with_suffix(".safetensors")']
    part.functions.append(
        "def main():\n"
        f"    torch.set_num_threads({recipe.plan.threads})  # another number may end in other bits\n"
        f"    {loaded}\n"
        f"{model}"
        f"    for name, value in evaluate(model, inputs[{judged}], targets[{judged}]{units}).items():\n"
        f'        print(f"{judged} {{name}}: {{value:.6g}}")\n'
        "    save_file(model.state_dict(), WEIGHTS)\n"
        '    print(f"weights: {WEIGHTS}")'
    )
    return part
