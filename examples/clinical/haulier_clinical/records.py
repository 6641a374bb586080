"""Tables of `transform.references` as rows of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from haulier.errors import DefinitionError

Record = Mapping[str, str]


def records(references: Mapping[str, pd.DataFrame], name: str, columns: Sequence[str]) -> list[Record]:
    """The rows of one table, an empty text for an empty cell. Raises `DefinitionError` for one without these columns."""
    table = references[name]
    if missing := [column for column in columns if column not in table.columns]:
        raise DefinitionError(f"reference {name}: it has no column {', '.join(missing)}")
    texts = {column: table[column].fillna("").astype(object).tolist() for column in table.columns}
    return [dict(zip(texts, cells, strict=True)) for cells in zip(*texts.values(), strict=True)]


def spellings(record: Record, *names: str) -> list[str]:
    """What a row's names and its synonyms, divided by ``|``, say."""
    return [
        text for text in (*(record[name] for name in names), *record.get("synonyms", "").split("|")) if text
    ]
