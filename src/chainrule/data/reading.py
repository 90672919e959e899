"""What a user can say about data beside naming it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.data.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How data is read. What is None is found in the data, and said.

    `target` names the targets in a .npz file; `encoding` is that of text tables, `sheet` that of a workbook.
    `picture_size` is what pictures of a folder are resized to, in pixels a side; `shape` (channels, height, width) is
    what they are decoded to because other pictures have it. `cache` is a folder that keeps decoded pictures; `track`
    shows how far reading is. `store` says how much memory the data may take, and keeps what would take more.
    """

    target: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    picture_size: int | None = None
    shape: tuple[int, int, int] | None = None
    cache: Path | None = None
    track: Callable[..., Any] | None = None
    store: Store | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Divided:
    """Data that is divided by who gives it: each part is anything that `fit` takes as data.

    Parts that are None are drawn from the training rows.
    """

    train: Any
    validation: Any = None
    test: Any = None
