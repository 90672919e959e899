"""The encoding of a text table: named by the user, written in the file's first bytes, or found."""

from __future__ import annotations

import codecs
import re

from chainrule.core.errors import DataError, SettingError, nearest
from chainrule.core.text import visible

MARKS = {  # byte order marks; the longer ones first
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
USUAL = (  # what tables are saved in, the likelier ones first
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", "cp932", "gb18030", "big5",
    "cp949", "euc_jp",
)  # fmt: skip
NOT_FOR_TABLES = (
    "idna",
    "punycode",
    "unicode_escape",
    "raw_unicode_escape",
    "undefined",
    "mbcs",
    "oem",
    "utf_7",
)
SAMPLE_BYTES = 1 << 16  # of lines that are not ASCII, looked at to find the encoding
AT_ONCE = 1 << 24


def to_utf8(content: bytes, name: str, encoding: str | None = None) -> tuple[bytes, list[str]]:
    """Return text as UTF-8, and what the user should hear. Content that is no text at all comes back as it is.

    Raises: SettingError for an encoding that does not exist; DataError naming the line that is not in it
    """
    mark = next((mark for mark in MARKS if content.startswith(mark)), None)
    if mark is not None:
        marked = MARKS[mark]
        if encoding is not None and codec_of(encoding) not in (
            codec_of(marked),
            "utf-8-sig",
            "utf-16-le",
            "utf-16-be",
        ):
            return _decoded(content, marked, name), [
                f"{name}: begins with the mark of {marked.upper()} and is read so"
            ]
        if marked == "utf-8":
            return content, []
        return _decoded(content, marked, name), [f"{name}: read as {marked.upper()}"]
    if encoding is not None:
        return _decoded(content, codec_of(encoding), name), []
    if b"\0" in content[:SAMPLE_BYTES]:
        wide = _wide(content[:SAMPLE_BYTES])
        return (_decoded(content, wide, name), [f"{name}: read as {wide.upper()}"]) if wide else (content, [])
    if is_utf8(content):
        return content, []
    found = _find(content)
    return _decoded(content, found, name), [
        f"{name}: read as {found} (it is not UTF-8); --encoding names another"
    ]


def codec_of(encoding: str) -> str:
    """Return the plain name of an encoding. Raises: SettingError if there is none of that name."""
    try:
        codec = codecs.lookup(encoding.strip())
        plain = codec.name.replace("-", "_")
        "".encode(codec.name)
    except (LookupError, ValueError, TypeError, UnicodeError):
        plain = ""
    if not plain or plain in NOT_FOR_TABLES:
        close = nearest(encoding, ["utf-8", "utf-16", "latin-1", "mac-roman", *USUAL])
        hint = f"; did you mean {close[0]}?" if close else ""
        raise SettingError(
            f"--encoding takes the name of a text encoding, such as utf-8, cp1252 or utf-16; got {visible(encoding)!r}{hint}"
        )
    return codec.name


def _decoded(content: bytes, encoding: str, name: str) -> bytes:
    try:
        return content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, errors="ignore")
        line = before.count("\n") + 1
        raise DataError(
            f"{name}, line {line} is not {encoding} text (byte 0x{content[error.start]:02x}); "
            "--encoding names another encoding; without it, it is found"
        ) from error
    except UnicodeEncodeError as error:
        raise DataError(
            f"{name} holds characters that do not exist, read as {encoding}; it is damaged"
        ) from error


def is_utf8(content: bytes) -> bool:
    """Whether the content is UTF-8, looked at in parts so that it is not held twice."""
    if content.isascii():
        return True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(content), AT_ONCE):
            decoder.decode(content[start : start + AT_ONCE], final=start + AT_ONCE >= len(content))
    except UnicodeDecodeError:
        return False
    return True


def _wide(head: bytes) -> str | None:
    """Return which UTF-16 text without a mark is: every second byte of text in most languages' markup is zero."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if odd > 0.3 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.3 * half and odd < 0.05 * half else None


def _find(content: bytes) -> str:
    """Return the likeliest encoding of text that is not UTF-8; latin-1, which reads anything, if none is likely."""
    from charset_normalizer import from_bytes

    lines, length = [], 0
    for line in content.split(b"\n"):
        if not line.isascii():
            lines.append(line[:1000])
            length += len(lines[-1])
            if length > SAMPLE_BYTES:
                break
    likely = []
    for match in from_bytes(b"\n".join(lines), cp_isolation=list(USUAL)):
        names = [n for n in (match.encoding, *match.could_be_from_charset) if n in USUAL]
        first = min(names, key=USUAL.index)
        disorder = round(match.chaos, 3) + (0.05 if re.search(r"[£¥¹³¿ª¯¼¾](?=[a-z])", str(match)) else 0)
        likely.append((disorder, -round(match.coherence, 3), USUAL.index(first)))
    for *_, place in sorted(likely):
        try:
            content.decode(USUAL[place])
        except UnicodeDecodeError:
            continue
        return USUAL[place]
    return "latin-1"
