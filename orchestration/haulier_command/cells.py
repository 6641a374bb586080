"""The cells of single rows, as their format has them: for whoever shows a row without some of them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from haulier.definitions.formats import Csv, Excel, FixedWidth, Format, JsonLines, Parquet
from haulier.errors import HaulierError
from haulier_command.sealed import delivery_of, text_of

if TYPE_CHECKING:
    from haulier_command.ledger import Row
    from haulier_command.sealed import Sealed


@dataclass(frozen=True, kw_only=True)
class Divided:
    """A row taken apart: the names of its columns, and each cell's text."""

    names: Sequence[str]
    texts: Sequence[str]
    #: The row put together again, with these in place of its cells; ``None``: as the cell was.
    write: Callable[[Sequence[str | None]], str]

    def written(self, covered: Collection[int], mark: str) -> str:
        """The row with a mark over some of its cells."""
        return self.write([mark if at in covered else None for at in range(len(self.names))])


class Divider:
    """Takes rows apart. A header is read once for each file."""

    def __init__(self, sealed: Sealed) -> None:
        self._sealed = sealed
        self._headers: dict[tuple[str, Format], tuple[str, ...] | None] = {}

    def divided(self, row: Row, form: Format, text: str) -> Divided | None:
        """``None`` where a row has not the cells that its format or its header promises, or the header is gone."""
        if isinstance(form, JsonLines):
            return None if form.debezium else _of_object(text)
        if isinstance(form, Parquet):
            return _of_object(text)
        if isinstance(form, FixedWidth):
            return _of_places(form, text)
        names = self._header(row, form)
        if names is None:
            return None
        return _of_list(names, text) if isinstance(form, Excel) else _of_record(form, names, text)

    def _header(self, row: Row, form: Csv | Excel) -> tuple[str, ...] | None:
        key = (row["sha256"], form)
        if key not in self._headers:
            try:
                self._headers[key] = self._read_header(row, form)
            except HaulierError:
                self._headers[key] = None
        return self._headers[key]

    def _read_header(self, row: Row, form: Csv | Excel) -> tuple[str, ...] | None:
        """As extract finds it: the first row behind the preamble that is not blank."""
        exchange, delivery = self._sealed.exchange, delivery_of(row)
        if isinstance(form, Excel):
            from haulier.xlsx.sheet import sheet_rows

            for line in sheet_rows(exchange, delivery, form):
                if line.number > form.preamble_rows and line.cells:
                    return tuple(line.cells.get(at, "") for at in range(max(line.cells) + 1))
            return None
        from haulier.framing import frame
        from haulier.originals import text_chunks

        for block in frame(text_chunks(exchange, delivery, form), form, delivery.uri):
            for at in range(len(block)):
                record = block.record(at)
                if block.first + at > form.preamble_rows and record.strip():
                    text, decoded = text_of(record, form.encoding)
                    return tuple(_fields(form, text)) if decoded and not block.rule else None
        return None


def _fields(form: Csv, text: str) -> list[str]:
    """As `haulier.framing` says that quotes are read, which is how Python's csv module does."""
    return next(csv.reader(io.StringIO(text, newline=""), **_dialect(form)), [])


def _dialect(form: Csv) -> dict[str, Any]:
    if not form.quote:
        return {"delimiter": form.delimiter, "quoting": csv.QUOTE_NONE}
    return {"delimiter": form.delimiter, "quotechar": form.quote, "doublequote": True}


def _of_record(form: Csv, names: tuple[str, ...], text: str) -> Divided | None:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), **_dialect(form)))
    except csv.Error:
        return None
    if len(lines) != 1 or len(lines[0]) != len(names):
        return None
    cells = lines[0]

    def write(marks: Sequence[str | None]) -> str:
        said = [cell if mark is None else mark for cell, mark in zip(cells, marks, strict=True)]
        if not form.quote:
            return form.delimiter.join(said)
        out = io.StringIO()
        csv.writer(out, lineterminator="", **_dialect(form)).writerow(said)
        return out.getvalue()

    return Divided(names=names, texts=cells, write=write)


def _of_list(names: tuple[str, ...], text: str) -> Divided | None:
    cells = json.loads(text)
    if len(cells) > len(names):
        return None
    cells += [None] * (len(names) - len(cells))

    def write(marks: Sequence[str | None]) -> str:
        said = [cell if mark is None else mark for cell, mark in zip(cells, marks, strict=True)]
        return json.dumps(said, ensure_ascii=False)

    return Divided(names=names, texts=[cell or "" for cell in cells], write=write)


def _of_object(text: str) -> Divided | None:
    import msgspec

    try:
        pairs = json.loads(text, object_pairs_hook=list)
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return None
    if len(pairs) != len(raw):
        return None
    values = [bytes(value).decode() for value in raw.values()]

    def write(marks: Sequence[str | None]) -> str:
        said = (
            f"{json.dumps(name, ensure_ascii=False)}: {value if mark is None else json.dumps(mark)}"
            for name, value, mark in zip(raw, values, marks, strict=True)
        )
        return "{" + ", ".join(said) + "}"

    return Divided(names=tuple(raw), texts=[_json_text(value) for value in values], write=write)


def _json_text(value: str) -> str:
    """A text without its quotes; anything else as it is written."""
    if value.startswith('"'):
        return str(json.loads(value))
    return "" if value == "null" else value


def _of_places(form: FixedWidth, text: str) -> Divided | None:
    places = form.places
    reached = [0, *(stop for _, stop in places)]
    if (
        any(start < before for (start, _), before in zip(places, reached, strict=False))
        or text[reached[-1] :].strip()
    ):
        return None
    if any(text[before:start].strip() for (start, _), before in zip(places, reached, strict=False)):
        # Something stands where no column is.
        return None

    def write(marks: Sequence[str | None]) -> str:
        said = []
        for (start, stop), before, mark in zip(places, reached, marks, strict=False):
            said.append(text[before:start])
            said.append(text[start:stop] if mark is None else mark.ljust(stop - start))
        return "".join(said)

    names = tuple(column.name for column in form.columns)
    return Divided(names=names, texts=[text[start:stop].strip(" ") for start, stop in places], write=write)
