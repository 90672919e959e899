"""A folder for what can be made again, the user's own: others can neither read nor write it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from chainrule.core.errors import StorageError
from chainrule.core.text import visible


def user_cache_folder(name: str) -> Path:
    """Return $XDG_CACHE_HOME/chainrule/NAME, or that under ~/.cache, made with mode 0700 where it is not there.

    Raises: StorageError if it cannot be made, or if another user owns it or can write into it
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = base / "chainrule"
        for each in (folder, folder / name):
            each.mkdir(mode=0o700, exist_ok=True)
            _check_own(each)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home folder
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the folder for cached files cannot be made: {visible(error)}") from error
    return folder / name


def _check_own(folder: Path) -> None:
    """Raises: StorageError saying whose the folder is, or who can write into it"""
    if os.name == "nt":
        return
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise StorageError(f"{visible(folder)} is a link; cached files need a folder of your own there")
    if found.st_uid != os.getuid():
        raise StorageError(
            f"{visible(folder)} belongs to user {found.st_uid}, not to you ({os.getuid()}); nothing is cached there"
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StorageError(
            f"{visible(folder)} can be written by others (mode {stat.S_IMODE(found.st_mode):o}); "
            f"nothing is cached there until you run: chmod 700 {visible(folder)}"
        )
