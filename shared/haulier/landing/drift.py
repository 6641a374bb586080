"""A live table that is not yet what its contract says: how they differ, and what the definition says to that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from psycopg2 import sql

from haulier.contracts import EXTRA, Contract
from haulier.definitions.drift import Drift
from haulier.errors import DefinitionError
from haulier.landing.catalogue import normal
from haulier.landing.names import SYSTEM_COLUMNS, own_columns, target_columns
from haulier.odcs.widths import characters, digits, kind_of_change

_RANGES = {
    name: (-(2**bits), 2**bits - 1) for name, bits in (("smallint", 15), ("integer", 31), ("bigint", 63))
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One column in which a table is not what its contract says."""

    #: As the definition's section on drift calls it.
    kind: str
    column: str
    #: Its type in the table; None: it is not there.
    live: str | None = None
    #: Its type in the contract; None: it is not there.
    promised: str | None = None
    #: The approved synonym under which the table has it.
    alias: str | None = None
    #: What the definition says to that.
    policy: str


def differences(contract: Contract, live: Mapping[str, str], drift: Drift) -> list[Difference]:
    """Where a live table (column -> type) is not what its contract says, in the contract's order."""
    promised = {name: normal(pg_type) for name, pg_type in target_columns(contract).items()}
    aliases = {c.name: {alias.casefold() for alias in c.aliases} for c in contract.stored}
    others = {name.casefold(): name for name in live if name not in promised}
    own = own_columns(contract)
    found = []
    for name, pg_type in promised.items():
        if name not in live:
            alias = next((others[one] for one in sorted(aliases.get(name, ())) if one in others), None)
            kind = "renamed" if alias else "new_column"
            policy = drift.policy(kind)
            if name in (*contract.key, contract.ordering, *SYSTEM_COLUMNS):
                # A key says which row is which, and the stamps whence it came: no rows there have one.
                policy = "stop"
            elif name in own and policy == "reject":
                policy = "stop"
            elif contract.gathering and name == contract.gathering.name:
                # Asked for by the definition that keeps what it does not know.
                policy = "evolve"
            found.append(Difference(kind=kind, column=name, promised=pg_type, alias=alias, policy=policy))
        elif change := kind_of_change(live[name], pg_type):
            ours = name in own or name in SYSTEM_COLUMNS
            policy = "stop" if ours and change != "narrowed" else drift.policy(change)
            found.append(
                Difference(kind=change, column=name, live=live[name], promised=pg_type, policy=policy)
            )
    policy = drift.policy("missing_column")
    renamed = {one.alias for one in found}
    found += [
        Difference(kind="missing_column", column=name, live=pg_type, policy=policy)
        for name, pg_type in live.items()
        # What another instance of the pipeline keeps is no column of anybody's contract.
        if name not in promised and name not in renamed and name != EXTRA
    ]
    return found


def check_live(contract: Contract, live: Mapping[str, str], drift: Drift) -> None:
    """Raises `DefinitionError` that names every difference at which the definition says to stop."""
    problems = [_problem(one, contract) for one in differences(contract, live, drift) if one.policy == "stop"]
    if problems:
        raise DefinitionError(
            f"table {contract.target} does not keep contract {contract.id}: " + "; ".join(problems)
        )


def _problem(one: Difference, contract: Contract) -> str:
    """What differs, and the statement or edit to make."""
    alter = f"ALTER TABLE {contract.target}"
    match one.kind:
        case "new_column":
            computed = (
                f' GENERATED ALWAYS AS ("{contract.valid_to}" IS NULL) STORED'
                if one.column == contract.is_current
                else ""
            )
            return f'it has no column {one.column}; add it: {alter} ADD COLUMN "{one.column}" {one.promised}{computed}'
        case "renamed":
            return (
                f"it has column {one.column} under its other name {one.alias}; rename it, and views on it follow: "
                f'{alter} RENAME COLUMN "{one.alias}" TO "{one.column}"'
            )
        case "missing_column":
            return (
                f"it has a column {one.column} ({one.live}) more; add it to the contract, or let "
                "load.drift.missing_column be evolve, which leaves it alone"
            )
    differ = f"column {one.column} is {one.live}, the contract says {one.promised}"
    if one.kind == "widened":
        return f'{differ}; widen it: {alter} ALTER COLUMN "{one.column}" TYPE {one.promised}'
    if one.kind == "narrowed":
        return (
            f"{differ}; write {one.live} there, or let load.drift.narrowed be evolve, which leaves the table as wide "
            "as it is"
        )
    return f"{differ}; convert the column by hand, or write {one.live} in the contract"


def unfit(contract: Contract, live: Mapping[str, str], drift: Drift) -> dict[str, Difference]:
    """column -> the difference for which rows are rejected that have a value the table has no place for."""
    if not live:
        return {}
    found = differences(contract, live, drift)
    return {one.column: one for one in found if one.policy == "reject"}


def fits(column: sql.Composable, live: str | None) -> sql.Composable:
    """Whether a value of a wider type has a place in a column of type ``live``; None: there is no such column."""
    if live is None:
        return sql.SQL("false")
    if (most := characters(live)) is not None:
        return sql.SQL("length({}) <= {}").format(column, sql.Literal(most))
    if live in _RANGES:
        low, high = _RANGES[live]
        return sql.SQL("({c} = trunc({c}::numeric) AND {c} BETWEEN {low} AND {high})").format(
            c=column, low=sql.Literal(low), high=sql.Literal(high)
        )
    whole, fraction = digits(live)
    return sql.SQL("({c} = round({c}::numeric, {fraction}) AND abs({c}) < {limit})").format(
        c=column, fraction=sql.Literal(fraction), limit=sql.Literal(10 ** (whole or 0))
    )
