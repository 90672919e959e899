"""Text tables before they are cut into cells: comments above the header, columns that spaces keep apart."""

from __future__ import annotations

import csv
import io
import re

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HEAD_BYTES, HEAD_ROWS = 1 << 16, 20
_COMMENTS = re.compile(rb"(?:[ \t]*#[^\n]*\n|[ \t\r]*\n)+")
_SEPARATOR_LINE = re.compile(rb"sep=(.)\r?\n")
_CELLS = re.compile(r"[,;\t| ]+")


def head_of(content: bytes) -> str:
    """Return the first lines as text."""
    head = content[:HEAD_BYTES]
    if len(content) > HEAD_BYTES:
        head = head[: head.rfind(b"\n") + 1] or head
    return head.decode("utf-8-sig", errors="replace")


def without_comments(content: bytes, name: str) -> tuple[bytes, list[str]]:
    """Return the table without lines above it that begin with #, and what the user should hear.

    Where the last of them names the columns, as numpy.savetxt writes it, it is the header. Excel's sep=; goes too.
    """
    start = 3 if content.startswith(BYTE_ORDER_MARK) else 0
    if hint := _SEPARATOR_LINE.match(content, start):
        return content[hint.end() :], []
    if content[start : start + 1] != b"#" or not (found := _COMMENTS.match(content, start)):
        return content, []
    comments = [line.strip() for line in found.group().split(b"\n") if line.strip()]
    blank, below = b"\n" * found.group().count(b"\n"), content[found.end() :]  # lines keep their numbers
    header = comments[-1].lstrip(b"# \t")
    first = below[: below.find(b"\n") if b"\n" in below else len(below)]
    if _is_header_of(header.decode(errors="replace"), first.decode(errors="replace")):
        return blank[1:] + header + b"\n" + below, [f"{name}: the header is the line that begins with #"]
    those = "1 line that begins" if len(comments) == 1 else f"{len(comments)} lines that begin"
    return blank + below, [
        f"{name}: {those} with # above the header {'is' if len(comments) == 1 else 'are'} left out"
    ]


def _is_header_of(comment: str, row: str) -> bool:
    """Whether a comment has a name for each cell of the row, and the row has numbers where it has names."""
    names, cells = _CELLS.split(comment.strip()), _CELLS.split(row.strip())
    is_number = [_is_number(cell) for cell in cells]
    return len(names) == len(cells) > 1 and any(is_number) and not any(map(_is_number, names))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def lines_apart_by_spaces(text: str) -> int:
    """Count the first lines that spaces cut as they cut the header; a header may lack a name for row numbers."""
    try:
        widths = [len(row) for _, row in zip(range(HEAD_ROWS), _rows(text), strict=False)]
    except csv.Error:
        return 0
    if len(widths) < 2 or widths[1] < 2 or widths[0] not in (widths[1], widths[1] - 1):
        return 0
    return 1 + widths[1:].count(widths[1])


def apart_by_tabs(content: bytes) -> bytes:
    """Return a table whose cells spaces keep apart with tabs instead."""
    rows = list(_rows(content.decode("utf-8-sig", errors="replace")))
    if len(rows) > 1 and len(rows[1]) == len(rows[0]) + 1:  # row numbers, as R writes them
        rows[0] = ["", *rows[0]]
    written = io.StringIO(newline="")
    csv.writer(written, delimiter="\t", lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def _rows(text: str) -> list[list[str]]:
    lines = (line.strip().replace("\t", " ") for line in text.split("\n"))
    reader = csv.reader((line for line in lines if line), delimiter=" ", skipinitialspace=True, strict=True)
    return list(reader)
