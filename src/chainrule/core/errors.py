"""Every error that chainrule raises on purpose.

    ChainruleError                       exit code
      DataError          ValueError          2      a file, row, column or picture cannot be used
      SettingError       ValueError          2      a setting has a value that it cannot have
      UnknownNameError   LookupError         2      a name that is not in the catalogue, a table or a model
      ShapeError         ValueError          2      shapes that do not fit together
      MissingExtraError  ImportError         2      an optional package is not installed
      RunError           ValueError          2      a run folder is missing, damaged or does not fit
      LockedError        BlockingIOError     2      another process is writing the same run
      StorageError       OSError             2      a folder that cannot be written, a disk that is full
      LowMemoryError     MemoryError         2      a network, or what it trains on, does not fit into memory
      PlanError          RuntimeError        2      a way of running a model does not work on this machine
      TrainingFailed     ArithmeticError     3      the loss is no longer finite
      Interrupted        KeyboardInterrupt   130/143

A message says what was wanted, what came and the nearest thing that works.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ChainruleError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line ends with."""

    exit_code = 2


class DataError(ChainruleError, ValueError):
    """A file, row, column or picture cannot be used."""


class SettingError(ChainruleError, ValueError):
    """A setting has a value that it cannot have."""


class UnknownNameError(ChainruleError, LookupError):
    """A name that is not in the catalogue, a table or a model."""


class ShapeError(ChainruleError, ValueError):
    """Shapes that do not fit together."""


class MissingExtraError(ChainruleError, ImportError):
    """An optional package is not installed."""


class RunError(ChainruleError, ValueError):
    """A run folder is missing, damaged or does not fit."""


class LockedError(ChainruleError, BlockingIOError):
    """Another process is writing the same run."""


class StorageError(ChainruleError, OSError):
    """A folder that cannot be written, or a disk that is full."""


class LowMemoryError(ChainruleError, MemoryError):
    """A network, or what it trains on, does not fit into the memory that is left."""


class PlanError(ChainruleError, RuntimeError):
    """A way of running a model does not work on this machine."""


class TrainingFailed(ChainruleError, ArithmeticError):  # noqa: N818 - it is an outcome, not a mistake in the call
    """The loss is no longer finite."""

    exit_code = 3


class Interrupted(ChainruleError, KeyboardInterrupt):  # noqa: N818 - named like the builtin it stands for
    """Ctrl-C or SIGTERM; `signal_number` tells which."""

    def __init__(self, message: str, signal_number: int = 2) -> None:
        super().__init__(message)
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def nearest(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Return the names that a person who typed `name` probably meant, the best first.

    >>> nearest("lennet", ["mlp", "lenet", "perceptron"])
    ['lenet']
    """
    known = {candidate.lower(): candidate for candidate in names}
    wanted = name.lower()
    found = difflib.get_close_matches(wanted, list(known), n=most, cutoff=0.5)
    inside = [
        k for k in known if min(len(k), len(wanted)) > 2 and (wanted in k or k in wanted) and k not in found
    ]
    return [known[k] for k in [*found, *inside][:most]]


def unknown_name(kind: str, name: str, names: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that is not among `names`, with the nearest ones.

    >>> str(unknown_name("model", "lennet", ["mlp", "lenet"]))
    "no model is called 'lennet'; did you mean 'lenet'? (2 models: lenet, mlp)"
    """
    all_names = sorted(names)
    close = nearest(name, all_names)
    hint = f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
    shown = ", ".join(all_names[:12]) + (", …" if len(all_names) > 12 else "")
    head, of, whose = kind.partition(" of ")  # "column of houses.csv" has the plural "columns of houses.csv"
    plural = f"{head}{'es' if head.endswith('s') else 's'}{of}{whose}" if len(all_names) != 1 else kind
    count = f"{len(all_names)} {plural}: {shown}" if all_names else f"there are no {plural}"
    return UnknownNameError(f"no {kind} is called {name!r}{hint} ({count})")


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """Return the error for an optional package that is not installed."""
    return MissingExtraError(
        f"{purpose} needs the package {package!r}, which is not installed; "
        f"install it with: pip install 'chainrule[{extra}]'"
    )
