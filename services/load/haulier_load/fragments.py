"""The pieces of a merge's statements that depend on the contract: columns, keys, versions."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg2 import sql

from haulier.contracts import Contract
from haulier_load.names import MATCHED, VERDICT, columns, target_columns, version


def fragments(contract: Contract, stage: sql.Composable) -> dict[str, sql.Composable]:
    """name -> what statements say there; ``s`` is a row of the stage, ``t`` one of the target."""
    names = [c.name for c in contract.columns]
    key = contract.key or tuple(names)
    ordering = contract.ordering
    same_key = _all(_equal(name) for name in key)
    # Within one load generation and interval end are the same for every row.
    versions = [
        n for n in (*([ordering] if ordering else []), "_haulier_sequence", "_haulier_row") if n not in key
    ]
    trimmed = {c.name for c in contract.columns if c.pg_type == "numeric"}

    def value(name: str) -> sql.Composable:
        # Arrow's decimals have one scale; a plain numeric keeps the digits its value has.
        cell = sql.Identifier("s", name)
        return sql.SQL("trim_scale({})").format(cell) if name in trimmed else cell

    return {
        "stage": stage,
        "verdict": VERDICT,
        "matched": MATCHED,
        "verdict_name": sql.Identifier(VERDICT.strings[-1]),
        "matched_name": sql.Identifier(MATCHED.strings[-1]),
        "target_columns": sql.SQL(", ").join(
            # Types come from `haulier.odcs`'s closed list, never from a person's text.
            sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(pg_type))
            for name, pg_type in target_columns(contract).items()
        ),
        "key": columns(key),
        "s_key": columns(key, "s"),
        "t_key": columns(key, "t"),
        "r_key": columns(key, "r"),
        "same_key": same_key,
        "other_key": sql.SQL("NOT ({})").format(same_key) if contract.key else sql.SQL("true"),
        "key_pairs": sql.SQL(", ").join(
            sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier("t", name)) for name in key
        ),
        "s_content": columns(names, "s"),
        "s_stored": columns(names, "s"),
        "t_stored": columns(names, "t"),
        "s_version": version(contract, "s"),
        "t_version": version(contract, "t"),
        "s_version_list": columns(versions, "s"),
        "r_version_desc": _list(sql.SQL("{} DESC").format(sql.Identifier("r", name)) for name in versions),
        "top_in_delivery": (
            sql.SQL("s.{} = max(s.{}) OVER (PARTITION BY {}, s._haulier_delivery)").format(
                sql.Identifier(ordering), sql.Identifier(ordering), columns(key, "s")
            )
            if ordering
            else sql.SQL("true")
        ),
        "stage_versioned": sql.SQL(
            "(SELECT st.*, st.ctid, %(generation)s::integer AS _haulier_generation,"
            " %(ordered)s::timestamptz AS _haulier_ordered FROM {} st)"
        ).format(stage),
        "assignments": _list(sql.SQL("{} = {}").format(sql.Identifier(name), value(name)) for name in names),
        "columns": columns(names),
        "values": _list(value(name) for name in names),
    }


def _equal(name: str) -> sql.Composable:
    return sql.SQL("s.{} = t.{}").format(sql.Identifier(name), sql.Identifier(name))


def _all(conditions: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(" AND ").join(conditions)


def _list(items: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(items)
