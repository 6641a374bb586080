"""What a file of `models/*.sql` may say of itself, and what it resolves to."""

from __future__ import annotations

from typing import Literal

from haulier.contracts import Contract
from haulier.definitions.words import Name, Section

Materialized = Literal["merge", "table", "view"]


class ModelHeader(Section, frozen=True, kw_only=True):
    """The comment lines a model begins with: `-- materialized: merge`."""

    #: What becomes of its rows: `merge`, by key into a table with a contract, newest version first; `table`, built
    #: anew from all there is; `view`, looked up by whoever reads it.
    materialized: Materialized
    #: `merge` only: path of the target's contract, from this file.
    contract: Name | None = None
    #: `table` and `view` only: its name in PostgreSQL, `schema.name`.
    target: Name | None = None
    #: What it gives, for people.
    description: str = ""


class Model(Section, frozen=True, kw_only=True):
    """A SQL model as extract seals it: its file, read."""

    #: Name of its file without the ending.
    name: Name
    #: What becomes of its rows.
    materialized: Materialized
    #: What it makes, as `schema.name`.
    target: Name
    #: What the rows of a merge promise; none for a table or a view.
    contract: Contract | None = None
    #: What it gives, for people.
    description: str = ""
    #: One SELECT, as written below the header.
    sql: Name
