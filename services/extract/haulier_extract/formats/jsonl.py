"""JSON Lines: one object a line, its keys the columns, every value as it is written.

No number passes through a float: a value is the text between its comma and the next. Nested objects and
arrays stay JSON. ``null`` is no value, like a key that is not there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from haulier.definitions import JsonLines, Ready
from haulier.encodings import cell_encoding
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.manifest import Delivery, SourceAccount
from haulier.originals import records_of
from haulier.records import Block
from haulier.rows import SYSTEM_FIELDS
from haulier_extract import arrays
from haulier_extract.columns import check_count, column_names
from haulier_extract.formats.text import ending
from haulier_extract.gathering import Batch, Reject, Rejects, Rows, account, with_place

#: Bytes of a key; a longer one is a value in the wrong place.
KEY_BYTES = 1000
#: An Arrow array takes so many bytes for a text that is not there.
_OFFSET_BYTES = 4

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
#: What follows every key of a document, and may also follow a quote inside a text.
_AFTER_KEY = re.compile(rb'"[ \t\r\n]*:')
_AT_BYTE = re.compile(r"\(byte (\d+)\)")


def read(
    exchange: Exchange, delivery: Delivery, form: JsonLines, *, position: int, wanted: Sequence[int] | None
) -> Reader:
    return Reader(exchange, delivery, form, position=position, wanted=wanted)


def unfinished(chunks: Iterator[bytes], form: JsonLines, ready: Ready, name: str) -> str | None:
    return ending(chunks, form.encoding, ready, name)[0]


class Reader:
    """Reads a delivery twice: the columns are known when every line was seen."""

    def __init__(
        self,
        exchange: Exchange,
        delivery: Delivery,
        form: JsonLines,
        *,
        position: int,
        wanted: Sequence[int] | None,
    ) -> None:
        """Raises `DataError` for more columns than a part can hold."""
        self._exchange, self._delivery = exchange, delivery
        self._form, self._name, self._position = form, delivery.uri, position
        self._wanted = None if wanted is None else np.unique(np.array(wanted, dtype=np.int64))
        self._lines = Lines(form)
        self._keys = self._all_keys()
        names, self.notes = column_names(self._keys, self._name)
        self._columns = pa.schema([pa.field(name, pa.string()) for name in names])
        self.schema = pa.schema([*SYSTEM_FIELDS, *self._columns])
        self.rules: Counter[str] = Counter()
        self._accepted = self._blank = self._last = 0

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        rows, rejects = Rows(most_rows, most_bytes), Rejects(self._position)
        width = _OFFSET_BYTES * max(len(self._keys), 1)
        at_once = max(1, min(most_rows, most_bytes // width))
        for block in self._blocks():
            self._last = block.first + len(block) - 1
            for start in range(0, len(block), at_once):
                table, size = self._table(block.slice(start, start + at_once), rejects)
                yield from (Batch(rows=group) for group in rows.add(table, max(size, width * len(table))))
                if rejects.full:
                    yield Batch(rejects=rejects.table())
        self._check_wanted()
        yield Batch(rows=rows.rest(), rejects=rejects.table())

    def account(self, delivery_id: int) -> SourceAccount:
        return account(delivery_id, self._accepted, self.rules.total(), self._blank)

    def _blocks(self) -> Iterator[Block]:
        return records_of(self._exchange, self._delivery, self._form)

    def _all_keys(self) -> list[str]:
        keys: dict[str, None] = {}
        for block in self._blocks():
            for index in range(len(block)):
                found = self._lines.read(block, index)
                if isinstance(found, dict) and not found.keys() <= keys.keys():
                    keys |= dict.fromkeys(found)
                    check_count(len(keys), self._name)
        return list(keys)

    def _table(self, block: Block, rejects: Rejects) -> tuple[pa.Table, int]:
        """The rows of some lines, and of how many bytes they were made."""
        lines: list[dict[str, msgspec.Raw]] = []
        numbers: list[int] = []
        size = 0
        for index in self._chosen(block):
            found = self._lines.read(block, index)
            if found is None:
                self._blank += 1
            elif isinstance(found, dict):
                lines.append(found)
                numbers.append(block.first + index)
                size += int(block.ends[index] - block.starts[index])
            else:
                rejects.add(self._reject(block, index, *found))
        self._accepted += len(lines)
        columns = [
            arrays.of_bytes([_value(line.get(key)) for line in lines], pa.string()) for key in self._keys
        ]
        table = pa.Table.from_arrays(columns, schema=self._columns)
        return with_place(table, self._position, np.array(numbers, dtype=np.int64), self.schema), size

    def _chosen(self, block: Block) -> Iterable[int]:
        if self._wanted is None:
            return range(len(block))
        low, high = np.searchsorted(self._wanted, [block.first, block.first + len(block)])
        chosen: list[int] = (self._wanted[low:high] - block.first).tolist()
        return chosen

    def _check_wanted(self) -> None:
        if self._wanted is not None and len(self._wanted) and self._wanted[-1] > self._last:
            raise DataError(
                f"{self._name} has no row {self._wanted[-1]} any more: the jsonl section of its definition now cuts "
                "the file into other rows; extract it whole, with --reprocess"
            )

    def _reject(self, block: Block, index: int, rule: str, message: str) -> Reject:
        self.rules[rule] += 1
        verbatim, length = block.verbatim(index)
        return Reject(
            row=block.first + index, rule=rule, message=message, verbatim=verbatim, verbatim_bytes=length
        )


class Lines:
    """Takes lines apart."""

    def __init__(self, form: JsonLines) -> None:
        self._form = form
        self._encoding = cell_encoding(form.encoding)
        self._good_keys: set[str] = set()

    def read(self, block: Block, index: int) -> dict[str, msgspec.Raw] | tuple[str, str] | None:
        """A line's values by key, as they are written in UTF-8; ``None`` for a blank one; else (rule, message)."""
        if block.rule:
            most = self._form.record_bytes
            return block.rule, f"the line has {block.length} bytes, jsonl.record_bytes allows {most}"
        line = block.record(index)
        if not line.strip(b" \t"):
            return None
        try:
            text = line.decode(self._encoding)
        except UnicodeDecodeError as exc:
            byte = f"byte {exc.start + 1} of the line (0x{line[exc.start]:02x})"
            return "encoding", f"{byte} is not {self._form.encoding}; send it in that encoding"
        if self._encoding != "utf-8":
            line = text.encode()
        try:
            raw = _OBJECT.decode(line)
            if len(_AFTER_KEY.findall(line)) != len(raw):
                json.loads(text, object_pairs_hook=_once, parse_int=str, parse_float=str)
            if not raw.keys() <= self._good_keys:
                for key in raw.keys() - self._good_keys:
                    _check_key(key)
                self._good_keys |= raw.keys()
            return raw
        except _Twice:
            return "duplicate-key", "the line has a key twice in one object; send each once"
        except _BadKey as exc:
            return "key", str(exc)
        except RecursionError:
            return "too-deep", "the line is nested too deeply to be read; send it flatter"
        except msgspec.ValidationError:
            return "not-an-object", "the line is JSON, but not an object of keys and values"
        except (msgspec.DecodeError, ValueError) as exc:
            at = _AT_BYTE.search(str(exc))
            where = f", at byte {int(at[1]) + 1}" if at else ""
            return "json", f"the line is not JSON{where}; was it cut, or written by hand?"


class _Twice(Exception):
    """A key stands twice in one object."""


class _BadKey(Exception):
    """A key that can name no column."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Twice


def _check_key(key: str) -> None:
    if "\0" in key:
        raise _BadKey("a key of the line holds a NUL character; send it without")
    if len(key) * 4 > KEY_BYTES and len(key.encode()) > KEY_BYTES:
        raise _BadKey(f"a key of the line has more than {KEY_BYTES} bytes; is it a value?")


def _value(value: msgspec.Raw | None) -> bytes | None:
    """A value as its column has it: texts unescaped, ``null`` none, anything else as it is written."""
    if value is None:
        return None
    raw = bytes(value)
    if raw[:1] == b'"':
        return raw[1:-1] if b"\\" not in raw else _TEXT.decode(raw).encode()
    return None if raw == b"null" else raw
