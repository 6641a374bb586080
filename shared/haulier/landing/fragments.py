"""The pieces of a merge's statements that depend on the contract: columns, keys, versions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from psycopg2 import sql

from haulier.contracts import Contract
from haulier.landing.names import FATE, KEPT, MATCHED, VERDICT, columns, version
from haulier.rows import UNCHANGED


def fragments(contract: Contract, stage: sql.Composable, within: sql.Composable) -> dict[str, sql.Composable]:
    """name -> what statements say there; ``s`` is a row of the stage, ``t`` one of the target.

    ``within`` is true of every ``t`` that may have a staged row's key: it says which partitions to open.
    """
    names = [c.name for c in contract.stored]
    key = contract.key or tuple(names)
    ordering = contract.ordering
    s_is_t = same_key(contract, "s", "t")
    # Within one load generation and interval end are the same for every row.
    versions = [
        n for n in (*([ordering] if ordering else []), "_haulier_sequence", "_haulier_row") if n not in key
    ]
    written = [*names, *([KEPT] if contract.keeping else [])]
    value = partial(stored_value, contract)

    return {
        "stage": stage,
        "verdict": VERDICT,
        "matched": MATCHED,
        "verdict_name": sql.Identifier(VERDICT.strings[-1]),
        "matched_name": sql.Identifier(MATCHED.strings[-1]),
        "key": columns(key),
        "s_key": columns(key, "s"),
        "t_key": columns(key, "t"),
        "r_key": columns(key, "r"),
        "same_key": sql.SQL("{} AND {}").format(s_is_t, within),
        "within": within,
        "other_key": sql.SQL("NOT ({})").format(s_is_t) if contract.key else sql.SQL("true"),
        "key_pairs": pairs(key, "t"),
        "s_content": _content(contract),
        "s_stored": columns(names, "s"),
        "t_stored": columns(names, "t"),
        "t_live": live(contract, "t"),
        "s_newer_than_t": newer(contract, "s", "t"),
        "s_same_as_t": same(contract, "s", "t"),
        **{f"{alias}_deletes": deletes(contract, alias) for alias in "sou"},
        # Where deleted rows stay, a key's newest row and its newest deletion both count.
        "r_side": sql.SQL("r._haulier_deletes," if contract.deleted_at else ""),
        "s_version_list": columns(versions, "s"),
        "r_version_desc": listed(sql.SQL("{} DESC").format(sql.Identifier("r", name)) for name in versions),
        "top_in_delivery": (
            sql.SQL("s.{} = max(s.{}) OVER (PARTITION BY {}, s._haulier_delivery)").format(
                sql.Identifier(ordering), sql.Identifier(ordering), columns(key, "s")
            )
            if ordering
            else sql.SQL("true")
        ),
        "stage_versioned": versioned(stage),
        # Of a feed, single rows are judged, too: there may be something that they do not carry.
        "has_news": sql.SQL(
            "count(*) > 1 OR bool_or(_haulier_unchanged IS NOT NULL)" if contract.keeping else "count(*) > 1"
        ),
        "assignments": listed(
            [
                *(sql.SQL("{} = {}").format(sql.Identifier(name), value(name)) for name in written),
                *([_revived(contract.deleted_at)] if contract.deleted_at else []),
            ]
        ),
        "columns": columns(written),
        "values": listed(value(name) for name in written),
    }


def live(contract: Contract, alias: str) -> sql.Composable:
    """Whether a row of the target is not marked as deleted."""
    if contract.deleted_at is None:
        return sql.SQL("true")
    return sql.SQL("{} IS NULL").format(sql.Identifier(alias, contract.deleted_at))


def deletes(contract: Contract, alias: str) -> sql.Composable:
    """Whether a staged row only says that its key is gone."""
    return marks(contract, alias, "deletes")


def marks(contract: Contract, alias: str, parameter: str) -> sql.Composable:
    """Whether a staged row's marker is among the values of a parameter."""
    marker = contract.marker
    if marker is None:
        return sql.SQL("false")
    values = sql.SQL("{}::text[]::{}[]").format(sql.Placeholder(parameter), sql.SQL(marker.pg_type))
    return sql.SQL("({} = ANY({})) IS TRUE").format(sql.Identifier(alias, marker.name), values)


def stored_value(contract: Contract, name: str, alias: str = "s") -> sql.Composable:
    """A staged cell as the table has it."""
    # Arrow's decimals have one scale; a plain numeric keeps the digits its value has.
    cell = sql.Identifier(alias, name)
    is_plain = any(c.name == name and c.pg_type == "numeric" for c in contract.stored)
    return sql.SQL("trim_scale({})").format(cell) if is_plain else cell


def newer(contract: Contract, one: str, other: str) -> sql.Composable:
    """Whether one version is newer than another."""
    return _newer(version(contract, one), version(contract, other), one, other)


def version_of(contract: Contract, alias: str) -> sql.Composable:
    """The version of a row as JSON, for `newer_version`."""
    return sql.SQL("jsonb_build_array({}, {}._haulier_delivery)").format(
        version(contract, alias), sql.Identifier(alias)
    )


def newer_version(contract: Contract, one: sql.Composable, other: sql.Composable) -> sql.Composable:
    """Whether one version is newer than another, both as `version_of` has them; null where one is."""
    first = contract.column(contract.ordering).pg_type if contract.ordering else "timestamptz"
    types = [first, "integer", "integer", "bigint"]

    def typed(given: sql.Composable) -> sql.Composable:
        return listed(
            sql.SQL("({} ->> {})::{}").format(given, sql.Literal(n), sql.SQL(t)) for n, t in enumerate(types)
        )

    def delivery(given: sql.Composable) -> sql.Composable:
        return sql.SQL("({} ->> 4)::bigint").format(given)

    return _compared(typed(one), typed(other), delivery(one), delivery(other))


def newer_by_interval(contract: Contract, one: str, other: str) -> sql.Composable:
    """The same where a later run is newer whatever its rows say of themselves."""
    first, second = (
        sql.SQL("{}._haulier_ordered, {}").format(sql.Identifier(alias), version(contract, alias))
        for alias in (one, other)
    )
    return _newer(first, second, one, other)


def _newer(first: sql.Composable, second: sql.Composable, one: str, other: str) -> sql.Composable:
    deliveries = (sql.Identifier(alias, "_haulier_delivery") for alias in (one, other))
    return _compared(first, second, *deliveries)


def _compared(
    first: sql.Composable, second: sql.Composable, one: sql.Composable, other: sql.Composable
) -> sql.Composable:
    # Instance and logical name are looked up only for a tie.
    return sql.SQL(
        "(ROW({v}) > ROW({w}) OR (ROW({v}) = ROW({w}) AND {a} <> {b}"
        " AND (SELECT ROW(d.instance, d.logical_name) FROM haulier.delivery d WHERE d.delivery_id = {a})"
        " > (SELECT ROW(d.instance, d.logical_name) FROM haulier.delivery d WHERE d.delivery_id = {b})))"
    ).format(v=first, w=second, a=one, b=other)


def same_key(contract: Contract, one: str, other: str) -> sql.Composable:
    """Whether two rows have one key; that of a contract without a key is the whole row."""
    return same_columns(contract.key or tuple(c.name for c in contract.stored), one, other)


def same_columns(names: Iterable[str], one: str, other: str) -> sql.Composable:
    equal = (
        sql.SQL("{} = {}").format(sql.Identifier(one, name), sql.Identifier(other, name)) for name in names
    )
    return sql.SQL(" AND ").join(equal)


def same(contract: Contract, one: str, other: str) -> sql.Composable:
    """Whether two versions are the very same delivery's same row."""
    return sql.SQL("(ROW({}) = ROW({}) AND {}._haulier_delivery = {}._haulier_delivery)").format(
        version(contract, one), version(contract, other), sql.Identifier(one), sql.Identifier(other)
    )


def versioned(stage: sql.Composable) -> sql.Composable:
    """The stage with what is the same for all its rows."""
    return sql.SQL(
        "(SELECT st.*, st.ctid, %(generation)s::integer AS _haulier_generation,"
        " %(ordered)s::timestamptz AS _haulier_ordered FROM {} st)"
    ).format(stage)


def of_deletions(contract: Contract) -> dict[str, sql.Composable]:
    """What statements about deletions say beside `fragments`; ``k`` is a tombstone, ``u`` another staged row."""
    key, at = contract.key, contract.deleted_at
    column = sql.Identifier(at or "")
    typed: sql.Composable = sql.SQL("")
    if contract.ordering:
        pg_type = sql.SQL(contract.column(contract.ordering).pg_type)
        typed = sql.SQL("b.ordering::{} AS {},").format(pg_type, sql.Identifier(contract.ordering))
    return {
        "fate": FATE,
        "fate_name": sql.Identifier(FATE.strings[-1]),
        "stays": sql.SQL("true" if at else "false"),
        "tombstones": sql.SQL(
            "(SELECT b.key, {} b.ordered AS _haulier_ordered, b.sequence AS _haulier_sequence, b.generation AS"
            " _haulier_generation, b.row_number AS _haulier_row, b.delivery_id AS _haulier_delivery"
            " FROM haulier.tombstone b WHERE b.target = %(target)s)"
        ).format(typed),
        "s_key_pairs": pairs(key, "s"),
        "s_newer_than_k": newer(contract, "s", "k"),
        "s_same_as_k": same(contract, "s", "k"),
        "s_newer_than_u": newer(contract, "s", "u"),
        "u_newer_than_k": newer(contract, "u", "k"),
        "same_key_in_stage": same_key(contract, "s", "u"),
        "s_ordering": (
            sql.SQL("s.{}::text").format(sql.Identifier(contract.ordering))
            if contract.ordering
            else sql.SQL("NULL")
        ),
        "deleted_at": column,
        "deleted_at_column": sql.SQL("{},").format(column) if at else sql.SQL(""),
        "deleted_at_value": sql.SQL("CASE WHEN NOT f.after_k THEN f.buried_at END," if at else ""),
        # As `match` would have it, for the statements that update.
        "matched": sql.SQL(
            "(SELECT f.id, f.part, f.tid, f.after_k, f.after_t AS newer, f.fate = 'updated' AS other FROM {} f"
            " WHERE NOT f.deletes AND f.fate IN ('updated', 'unchanged'))"
        ).format(FATE),
    }


def _revived(deleted_at: str) -> sql.Composable:
    """A row newer than the deletion of its key is no longer deleted."""
    column = sql.Identifier(deleted_at)
    return sql.SQL("{} = CASE WHEN NOT m.after_k THEN t.{} END").format(column, column)


def _content(contract: Contract) -> sql.Composable:
    """What makes two staged rows of a key differ: two deletions never do, whatever else they say."""
    names = [*(c.name for c in contract.stored), *([UNCHANGED] if contract.keeping else [])]
    if contract.marker is None:
        return columns(names, "s")
    gone = deletes(contract, "s")
    cells = (
        sql.SQL("CASE WHEN NOT {} THEN {} END").format(gone, sql.Identifier("s", name)) for name in names
    )
    return listed([gone, *cells])


def pairs(names: Iterable[str], alias: str) -> sql.Composable:
    return listed(sql.SQL("{}, {}").format(sql.Literal(name), sql.Identifier(alias, name)) for name in names)


def listed(items: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(items)
