"""The user's own folder for cached files: where it is, its mode, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chainrule.core.errors import StorageError
from chainrule.core.user_cache import user_cache_folder


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_it_is_made_for_the_user_alone(base: Path) -> None:
    before = os.umask(0)
    try:
        folder = user_cache_folder("plans")
    finally:
        os.umask(before)
    assert folder == base / "chainrule" / "plans" == user_cache_folder("plans")
    assert {each.stat().st_mode & 0o777 for each in (base, folder.parent, folder)} == {0o700}


@pytest.mark.parametrize("home", ["", "relative/folder"])
def test_without_a_place_it_lies_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    """A relative XDG_CACHE_HOME is to be ignored, as its specification says."""
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache_folder("plans") == tmp_path / ".cache" / "chainrule" / "plans"


@pytest.mark.parametrize("place", ["chainrule", "chainrule/plans"])
def test_refuses_what_others_can_write(base: Path, place: str) -> None:
    user_cache_folder("plans")
    (base / place).chmod(0o770)
    with pytest.raises(
        StorageError, match=rf"{place} can be written by others \(mode 770\).*chmod 700 .*{place}"
    ):
        user_cache_folder("plans")


def test_refuses_the_folder_of_another_user(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user_cache_folder("plans")
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(StorageError, match=f"belongs to user {owner}, not to you"):
        user_cache_folder("plans")


def test_refuses_a_link(base: Path, tmp_path: Path) -> None:
    user_cache_folder("plans").rmdir()
    (base / "chainrule" / "plans").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="plans is a link; cached files need a folder of your own"):
        user_cache_folder("plans")


def test_says_why_it_cannot_be_made(base: Path) -> None:
    base.write_text("a file stands there")
    with pytest.raises(StorageError, match=r"the folder for cached files cannot be made: .*cache"):
        user_cache_folder("plans")
