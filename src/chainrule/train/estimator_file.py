"""A fitted estimator as bytes and back, without pickle: skops, and nothing but the types that stand here.

skops trusts whole packages by default. A file is asked for its types before skops is: one that holds any other is
refused (`estimator_schema`), as is one that unpacks to more than a model takes, or whose numbers compiled code would
stumble over (`estimator_numbers`).
"""

from __future__ import annotations

import functools
import importlib
import io
import json
import sys
import warnings
import zipfile
from types import ModuleType
from typing import Any

from chainrule.core.errors import RunError
from chainrule.core.text import visible
from chainrule.core.units import show_bytes
from chainrule.train.estimator_numbers import check_numbers
from chainrule.train.estimator_schema import TRUSTED, check_schema, foreign_types

MOST_BYTES = 4 << 30  # unpacked; a forest of 100 trees on 60,000 pictures takes 0.1 GB
MOST_OF_TEXT = 1 << 29  # of the list of parts, which is read into objects
SCHEMA = "schema.json"
DEFAULTS = "skops.io._trusted_types"  # what skops trusts by itself
RANDOM = {
    "NUMPY_RANDOM_BIT_GENERATOR_TYPE_NAMES": ["numpy.random.PCG64"]
}  # no type of a file: a part of Generator


def estimator_bytes(estimator: Any) -> bytes:
    """Return a fitted estimator as the content of a .skops file."""
    content: bytes = _skops().dumps(estimator, compression=zipfile.ZIP_DEFLATED)
    return content


def read_estimator(content: bytes, where: str) -> Any:
    """Return the estimator of a .skops file.

    Another version than the one that wrote it, or what else Python warns of while it is read, is not told here: the
    recipe tells versions.

    Raises: RunError naming the file, for one that is damaged, too large, or holds types that no classical model has
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            _check_size(file, where)
            schema = json.loads(file.read(SCHEMA))
        if foreign := foreign_types(schema):
            raise RunError(
                f"{where} is refused: it holds {visible(', '.join(foreign), 200)}, which no classical model is made of"
            )
        check_schema(schema)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = _skops().loads(content, trusted=list(TRUSTED))
        check_numbers(estimator)
    except RunError:
        raise
    except Exception as error:  # the content is anybody's, and skops raises whatever its parts do
        raise RunError(
            f"{where} is damaged or of another version: {visible(f'{type(error).__name__}: {error}', 300)}"
        ) from error
    return estimator


def _check_size(file: zipfile.ZipFile, where: str) -> None:
    parts = file.infolist()
    unpacked = sum(part.file_size for part in parts)
    text = file.getinfo(SCHEMA).file_size
    if unpacked > MOST_BYTES or text > MOST_OF_TEXT:
        raise RunError(
            f"{where} is refused: it unpacks to {show_bytes(unpacked)}, its list of parts to {show_bytes(text)}; "
            f"{show_bytes(MOST_BYTES)} and {show_bytes(MOST_OF_TEXT)} are the most"
        )


@functools.cache
def _skops() -> ModuleType:
    """Return skops.io with no list of types of its own, so that it trusts TRUSTED alone.

    It makes that list when it is imported, from all of scikit-learn and by asking every loaded module for every ufunc: two
    seconds beside torch, which lists of ours spare. This copy is for here; who imports skops gets one with its own list.
    """
    if "skops.io" in sys.modules:
        return sys.modules["skops.io"]
    before = set(sys.modules)
    lists = ModuleType(DEFAULTS)
    lists.__dict__["__getattr__"] = _list_named
    sys.modules[DEFAULTS] = lists
    try:
        return importlib.import_module("skops.io")
    finally:
        for name in [
            name for name in sys.modules if name not in before and name.partition(".")[0] == "skops"
        ]:
            del sys.modules[name]


def _list_named(name: str) -> list[str]:
    if not name.isupper():
        raise AttributeError(name)
    return RANDOM.get(name, [])
