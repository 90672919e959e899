"""Text from data, made safe to show."""

from __future__ import annotations


def visible(text: object, most: int = 200) -> str:
    """Return text with control characters written out and its length bounded, so that no terminal obeys it.

    >>> visible("a\\x1b[31mred"), visible("two\\nlines")
    ('a\\\\x1b[31mred', 'two\\\\nlines')
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def listed(names: list[str], most: int = 8) -> str:
    """Return names as a comma-separated list that stops after `most`.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    shown = ", ".join(f"'{visible(n)}'" for n in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
