"""`python -m chainrule` and the command `chainrule`."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from chainrule.core import signals

    signals.raise_on_signals()
    from chainrule.apps.cli import run

    run()


if __name__ == "__main__":
    main()
