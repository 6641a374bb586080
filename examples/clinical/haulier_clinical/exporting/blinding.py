"""Which columns are blinded: what the contracts of the tables behind the views say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from haulier.contracts import Column, Contract
from haulier.errors import DefinitionError
from haulier.odcs.contract import load_contract
from haulier_clinical.exporting.reading import Relation

BLINDED = "blinded"


def contracts_behind(definitions: Path, found: Sequence[Relation]) -> dict[str, Contract]:
    """Table -> its contract, for every table that the views read.

    Raises `DefinitionError` for a table without one: what is not known to be open does not leave.
    """
    folder = definitions / "contracts"
    loaded = [load_contract(path, f"contracts/{path.name}") for path in sorted(folder.glob("*.odcs.yaml"))]
    by_table = {contract.target: contract for contract in loaded}
    behind = sorted({table for relation in found for table in relation.tables})
    for table in behind:
        if table not in by_table:
            raise DefinitionError(
                f"{folder.absolute()}: no contract is for {table}, so nobody says which of its columns are blinded; "
                "set HAULIER_DEFINITIONS to the trial's definitions"
            )
    return {table: by_table[table] for table in behind}


def blinded_columns(contracts: dict[str, Contract], relation: Relation) -> frozenset[str]:
    """The relation's columns that go by the name of a blinded one behind it."""
    return frozenset(
        column.name
        for table in relation.tables
        for column in contracts[table].columns
        if _is_blinded(column) and column.name in relation.types
    )


def _is_blinded(column: Column) -> bool:
    """However it is written: a contract that says ``Blinded`` means it, too."""
    return (column.classification or "").strip().casefold() == BLINDED
