"""The tables a definition gives its functions, as pandas has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd
import pyarrow as pa

from haulier.errors import DefinitionError
from haulier.problems import suggestion
from haulier.references import records_of


class References(Mapping[str, pd.DataFrame]):
    """Name -> table, every column an Arrow-backed ``string``, ``<NA>`` for an empty cell.

    Asking for one that the definition does not name raises `DefinitionError`. They are the same for
    every batch: a function does not change them.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._tables = {name: _table(text) for name, text in texts.items()}

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame]) -> References:
        """Of tables that are there already."""
        made = cls({})
        made._tables = dict(tables)
        return made

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            raise DefinitionError(
                f"there is no reference {name!r}: name its file in transform.references{suggestion(name, list(self))}"
            )
        return self._tables[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)


def _table(text: str) -> pd.DataFrame:
    header, *lines = records_of(text)
    columns = {
        name: pd.Series(pd.arrays.ArrowExtensionArray(pa.array(_cells(lines, at), pa.string())))
        for at, name in enumerate(header)
    }
    return pd.DataFrame(columns)


def _cells(lines: list[list[str]], at: int) -> list[str | None]:
    return [line[at] or None for line in lines]
