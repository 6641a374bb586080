"""Text in a form that can be cut into records by looking at single bytes.

UTF-8 and the one-byte encodings that contain ASCII are cut as they are. Anything else (UTF-16, the
East Asian encodings, EBCDIC) is carried over into UTF-8 first, and what cannot be decoded becomes
bytes that are no UTF-8, so that its record, and no other, is rejected later.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain

from haulier.errors import DataError

_ASCII = bytes(range(128))

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8", "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
)
_LONGEST_MARK = 4


def cell_encoding(encoding: str) -> str:
    """The encoding of the cells once the text is `framable`."""
    return "utf-8" if is_carried_over(encoding) else _name(encoding)


@cache
def is_carried_over(encoding: str) -> bool:
    """Whether `framable` text is other bytes than the file's."""
    name = _name(encoding)
    return name != "utf-8" and not _one_byte(name)


def framable(chunks: Iterable[bytes], encoding: str, name: str = "the file") -> Iterator[bytes]:
    """The text without a byte order mark, its delimiters, quotes and line ends single ASCII bytes.

    Raises `DataError` when the text begins with the byte order mark of another encoding: nothing
    after it would be read as it was meant.
    """
    declared = _name(encoding)
    text: Iterator[bytes] = iter(chunks)
    head = b""
    for chunk in text:
        head += chunk
        if len(head) >= _LONGEST_MARK:
            break
    # Its own mark first: that of UTF-32 begins with that of UTF-16.
    for mark, family, marked in sorted(_MARKS, key=lambda known: not declared.startswith(known[1])):
        if head.startswith(mark):
            if not declared.startswith(family):
                raise DataError(
                    f"{name} begins with the byte order mark of {family}, but the definition says encoding {encoding!r}; "
                    f"write encoding: {family}"
                )
            head, declared = head[len(mark) :], marked
            break
    text = chain([head], text)
    if not is_carried_over(declared):
        yield from text
        return
    decoder = codecs.getincrementaldecoder(_byte_order(declared))(errors="haulier.mark")
    for chunk in text:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _byte_order(name: str) -> str:
    # Without a mark Windows means little-endian.
    return f"{name}-le" if name in ("utf-16", "utf-32") else name


def _mark(error: UnicodeError) -> tuple[str, int]:
    """Half a surrogate pair for what cannot be decoded: written as UTF-8 it is none."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


codecs.register_error("haulier.mark", _mark)


@cache
def _name(encoding: str) -> str:
    name = codecs.lookup(encoding).name
    return "utf-8" if name == "utf-8-sig" else name


@cache
def _one_byte(name: str) -> bool:
    """Whether each byte is one character, and the ASCII ones are themselves."""
    try:
        if _ASCII.decode(name) != _ASCII.decode("ascii"):
            return False
    except UnicodeDecodeError:
        return False
    pairs = bytes(byte for first in range(128, 256) for second in range(256) for byte in (first, second))
    return len(pairs.decode(name, "replace")) == len(pairs)
