"""Flags that come from the table of settings: who shows them, what they mean, and how --help reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from chainrule.apps.asked import Asked, nothing_beside_resume, takes_settings
from chainrule.apps.cli import PANELS, app
from chainrule.apps.flags import JSON
from chainrule.core.errors import SettingError, UnknownNameError
from chainrule.train.declared import READ
from chainrule.train.settings import DECLARED, FLAGS, Settings, flag_of

GROUP: Any = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)
SAID: dict[str, tuple[str, Any]] = {
    "model": ("lenet", "lenet"),
    "task": ("regression", "regression"),
    "members": ("3", 3),
    "ensemble": ("bagging", "bagging"),
    "vote": ("majority", "majority"),
    "epochs": ("7", 7),
    "batch_size": ("all", "all"),
    "optimizer": ("sgd", "sgd"),
    "learning_rate": ("0.25", 0.25),
    "schedule": ("cosine", "cosine"),
    "weight_decay": ("0.5", 0.5),
    "dropout": ("0.125", 0.125),
    "augment": ("flip,shift", ("flip", "shift")),
    "validation": ("0.3", 0.3),
    "test": ("0.25", 0.25),
    "split": ("group:who", "group:who"),
    "metric": ("auc", "auc"),
    "class_weight": ("balanced", "balanced"),
    "by": ("region", "region"),
    "columns": ("a,b=number", ("a,b=number",)),
    "decimal": (",", ","),
    "encoding": ("cp1252", "cp1252"),
    "sheet": ("March", "March"),
    "memory": ("600MB", "600MB"),
    "patience": ("4", 4),
    "seed": ("11", 11),
    "device": ("cpu", "cpu"),
    "plan": ("plain", "plain"),
}


def options(command: str) -> dict[str, Any]:
    return {flag: param for param in GROUP.commands[command].params for flag in param.opts}


def help_of(command: str, width: int) -> str:
    shown = CliRunner().invoke(
        app, [command, "--help"], terminal_width=width, env={"COLUMNS": str(width), "TERM": "dumb"}
    )
    assert shown.exit_code == 0
    return shown.output


def asked(*words: str) -> Asked:
    """Return what a command is given that shows every flag of the table."""
    got: list[Asked] = []

    def fit(asked: Asked, json: JSON = False) -> None:
        got.append(asked)

    one = typer.Typer()
    one.command()(takes_settings()(fit))
    ended = CliRunner().invoke(one, list(words))
    assert ended.exit_code == 0, ended.output
    return got[0]


@pytest.mark.parametrize("command", READ)
def test_commands_show_the_flags_that_the_table_says(command: str) -> None:
    shown = options(command)
    for name, flag in FLAGS.items():
        if command in flag.commands:
            option = shown[flag_of(name)]
            assert option.metavar == flag.value and option.rich_help_panel == flag.panel
    assert {"--target", "--set", "--runs", "--json", "--help"} <= {*shown, "--help"}


@pytest.mark.parametrize("command", READ)
def test_no_command_has_a_flag_of_a_setting_that_the_table_does_not_say(command: str) -> None:
    own = {"compare": {"--metric"}, "bench": {"--plan"}}.get(
        command, set()
    )  # which mean something else there
    others = {flag_of(name) for name, flag in FLAGS.items() if command not in flag.commands} - own
    assert not others & set(options(command))


def test_every_flag_of_a_setting_is_one_of_fit() -> None:
    assert all("fit" in flag.commands for flag in FLAGS.values())
    assert all(flag.panel in PANELS for flag in FLAGS.values())


@pytest.mark.parametrize("name", [name for name, flag in FLAGS.items() if flag.value is not None])
def test_a_flag_reaches_its_setting(name: str) -> None:
    text, value = SAID[name]
    others = ("--set", "model=lenet") if name == "columns" else ()
    request = asked(flag_of(name), text, *others).request(["iris"], runs=Path("runs"), track=None)
    assert getattr(request.settings, name) == value
    assert request.data == "iris"


def test_flags_that_are_switched_reach_their_setting() -> None:
    for flag, value in (("--merge-classes", True), ("--no-merge-classes", False)):
        request = asked(flag).request(None, runs=Path("runs"), track=None)
        assert request.settings.merge_classes is value and request.data is None


def test_without_flags_settings_are_as_they_are_declared() -> None:
    request = asked().request(["a.csv", "b.csv"], runs=Path("here"), track=None)
    assert request.settings == Settings() and request.target is None and request.model_settings == {}
    assert (request.data, request.runs) == (["a.csv", "b.csv"], Path("here"))


def test_a_flag_goes_before_a_pair_and_pairs_of_the_model_stay_apart() -> None:
    request = asked("--epochs", "5", "--set", "epochs=9", "--set", "l1=0.5", "--set", "hidden=8").request(
        None, runs=Path("runs"), track=None
    )
    assert (request.settings.epochs, request.settings.l1) == (5, 0.5)
    assert request.model_settings == {"hidden": (8,)}


def test_what_a_flag_cannot_mean_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match="--batch-size must be at least 1; got 0"):
        asked("--batch-size", "0").request(None, runs=Path("runs"), track=None)
    with pytest.raises(SettingError, match="--epochs takes a whole number; got 'ten'"):
        asked("--epochs", "ten").request(None, runs=Path("runs"), track=None)
    with pytest.raises(SettingError, match="--class-weight takes balanced; got 'even'"):
        asked("--class-weight", "even").request(None, runs=Path("runs"), track=None)
    with pytest.raises(UnknownNameError, match="did you mean 'momentum'"):
        asked("--set", "momentun=0.5").request(None, runs=Path("runs"), track=None)


def test_what_was_said_can_be_typed_again() -> None:
    words = ["--target", "y", "--epochs", "5", "--column", "a=number", "--column", "b=date", "--no-merge-classes", "--set", "l1=0"]  # fmt: skip
    again = asked(*asked(*words).words())
    assert again == asked(*words)


def test_nothing_stands_beside_resume() -> None:
    with pytest.raises(
        SettingError,
        match=r"from the run's recipe; leave out DATA \(iris\), --target, --epochs, --column, --set, --test-data$",
    ):
        nothing_beside_resume(
            "the run's recipe",
            ["iris"],
            asked("--epochs", "5", "--target", "y", "--column", "a=date", "--set", "l1=0"),
            {"name": None, "test_data": "x.csv"},
        )
    nothing_beside_resume("the run's recipe", None, asked(), {"name": None})


# ---- how it reads


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_terminal_and_names_no_types_of_python(command: str, width: int) -> None:
    shown = help_of(command, width)
    assert max(map(len, shown.splitlines())) <= width
    assert "--no-" not in shown.partition("Examples")[0]
    assert not re.search(r"<(bool|str|int|float|path|list.*?)>", shown)
    panels = [panel for panel in re.findall(r"╭─ (.+?) ─", shown) if panel not in ("Arguments", "Options")]
    assert panels == [panel for panel in PANELS if panel in panels]


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_help_says_what_the_setting_is(name: str) -> None:
    shown = options("fit")[flag_of(name)].help
    assert shown.startswith(DECLARED[name].help[0].upper() + DECLARED[name].help[1:-1])
    assert shown.endswith((".", "…")) and not shown.endswith("….")
