"""The formats extract can read: a module and a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

import pyarrow as pa

from haulier.definitions.formats import Format
from haulier.definitions.sources import Ready
from haulier.exchange import Exchange
from haulier.manifest import Delivery, SourceAccount
from haulier_extract.gathering import Batch


class Reader(Protocol):
    """Reads one delivery; what it made of every row adds up to its account.

    ``schema`` is there at once, the rest when ``batches`` has ended. What is read does not depend on
    how it is batched.
    """

    #: The system columns, then the source's: text, or the types that the source has.
    schema: pa.Schema
    #: What a person should know.
    notes: list[str]
    #: Rejects by rule.
    rules: Counter[str]

    def batches(self, most_rows: int, most_bytes: int) -> Iterator[Batch]:
        """Row groups of at most so many rows and about so many bytes of source.

        Raises `DataError` for a file that contradicts itself, and for a wanted row that is not there.
        """

    def account(self, delivery_id: int) -> SourceAccount:
        """What became of every row."""


class Module(Protocol):
    """What the module of a format has."""

    def read(
        self,
        exchange: Exchange,
        delivery: Delivery,
        form: Any,
        *,
        position: int,
        wanted: Sequence[int] | None,
    ) -> Reader:
        """A reader of a kept original; with ``wanted`` of the rows with these numbers only.

        Raises `DataError` for a file that cannot be read at all.
        """

    def unfinished(self, chunks: Iterator[bytes], form: Any, ready: Ready, name: str) -> str | None:
        """Why a file that is read to its end may be half there; ``None``: it is complete.

        Raises `DataError` for one that no waiting would help.
        """


#: Section of a definition's source -> the module that reads such files; imported when it is needed.
FORMATS: dict[str, str] = {
    "csv": "haulier_extract.formats.csv",
    "jsonl": "haulier_extract.formats.jsonl",
    "fixed": "haulier_extract.formats.fixed",
    "excel": "haulier_extract.formats.excel",
    "parquet": "haulier_extract.formats.parquet",
}


def module_of(form: Format) -> Module:
    return cast(Module, import_module(FORMATS[form.section]))
