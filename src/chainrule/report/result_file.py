"""A result in a file: as a page, as a picture or as values, whichever the name of the file ends in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chainrule.core.files import output_ending, write_atomic
from chainrule.report.html import Page

VALUES_OR_PAGE = (".html", ".json")
ANY_FORM = (".html", ".png", ".svg", ".json")


def write_result(
    path: str | Path,
    *,
    page: Callable[[], Page],
    values: Callable[[], Mapping[str, Any]],
    picture: Callable[[str], bytes] | None = None,
) -> Path:
    """Write .html a page, .json the values, and .png or .svg a picture where there is one: `picture` takes the ending.

    Raises: SettingError for another ending; StorageError if it cannot be written
    """
    path = Path(path)
    ending = output_ending(path, VALUES_OR_PAGE if picture is None else ANY_FORM)
    if ending == ".html":
        content = page().render().encode()
    elif ending == ".json":
        content = (json.dumps(values(), indent=1) + "\n").encode()
    else:
        assert picture is not None
        content = picture(ending)
    write_atomic(path, content)
    return path
