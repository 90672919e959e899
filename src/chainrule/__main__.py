"""`python -m chainrule` and the command `chainrule`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and leave.

    Everything that a command writes is closed when it returns; what the interpreter would still do is to take apart
    PyTorch and scikit-learn module by module, which costs a second.
    """
    from chainrule.core import signals

    signals.leave_on_signals()
    from chainrule.apps.cli import run

    code = run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 141
    os._exit(code)


if __name__ == "__main__":
    main()
