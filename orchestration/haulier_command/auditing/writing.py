"""Files of an export, written as they stream and known by their digests."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO

from haulier.errors import DefinitionError
from haulier_command.spreadsheet import harmless


@dataclass
class Written:
    """One file: what is written goes into its digest, too."""

    path: Path
    file: IO[bytes]
    rows: int = 0
    bytes: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256, repr=False)

    def write(self, text: str) -> int:
        data = text.encode()
        self._digest.update(data)
        self.bytes += len(data)
        return self.file.write(data)

    def facts(self) -> dict[str, object]:
        return {"sha256": self._digest.hexdigest(), "bytes": self.bytes, "rows": self.rows}


class Folder:
    """A new folder's files. Nothing there is written over."""

    def __init__(self, path: Path) -> None:
        """Raises `DefinitionError` when it has something in it."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise DefinitionError(f"--into: {path} is not an empty folder; name one that is, or a new one")
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.written: dict[str, Written] = {}

    @contextmanager
    def file(self, name: str) -> Iterator[Written]:
        path = self.path / name
        with path.open("wb") as opened:
            self.written[name] = Written(path, opened)
            yield self.written[name]

    def facts(self) -> dict[str, dict[str, object]]:
        return {name: one.facts() for name, one in self.written.items()}


class Csv:
    """A table for a spreadsheet: every cell quoted, and none of them a formula."""

    def __init__(self, written: Written, header: Sequence[str]) -> None:
        # With a mark: without one Excel takes UTF-8 for the code page of the machine.
        written.write("\ufeff")
        self._written, self._writer = (
            written,
            csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n"),
        )
        self._writer.writerow(header)

    def row(self, cells: Sequence[object]) -> None:
        self._writer.writerow([harmless(text_of(cell)) for cell in cells])
        self._written.rows += 1


def json_line(written: Written, document: object) -> None:
    """A line for programs: every value exactly as the ledger has it."""
    written.write(json.dumps(document, ensure_ascii=False, default=_exact) + "\n")
    written.rows += 1


def text_of(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=_exact)
    return str(value)


def _exact(value: object) -> object:
    # JSON's own numbers are floats to most readers.
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} is none of JSON's")
