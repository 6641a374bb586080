"""The live table against the contract: made when absent, checked before a single byte is copied.

Binary COPY writes a wrong type of equal width without a word, so the catalogue decides first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from haulier.contracts import Column, Contract
from haulier.definitions.drift import Drift
from haulier.landing.catalogue import live_columns
from haulier.landing.drift import check_live
from haulier.landing.evolving import changes, evolve
from haulier.landing.names import SYSTEM_COLUMNS, SYSTEM_COMMENTS, own_columns
from haulier.landing.partitions import check_partitioned
from haulier.ledger.connection import Connection, Cursor, transaction
from haulier.ledger.queries import queries
from haulier.logs import log
from haulier.partitions import live_tree
from haulier.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy

_SQL = queries("haulier.landing", "load.sql")


def ensure(
    connection: Connection, settings: Settings, contract: Contract, policy: Drift, run_id: int
) -> None:
    """Make the table when it is absent, or bring it to its contract as far as the definition lets it evolve.

    Raises `DefinitionError` when it is not what the contract says."""
    with transaction(connection, settings) as cursor:
        live = live_columns(cursor, contract)
    if not live:
        with transaction(connection, settings) as cursor:
            cursor.execute(_SQL["lock_new_tables"])
            live = live_columns(cursor, contract)
            if not live:
                statements = create(cursor, contract)
                live = live_columns(cursor, contract)
                change = {
                    "target": contract.target,
                    "kind": "create",
                    "ddl": statements,
                    "run_id": run_id,
                    "before": None,
                    "after": json.dumps(live),
                }
                cursor.execute(_SQL["insert_schema_change"], {**change, "actor": settings.actor})
                log.info("table created", extra={"facts": {"target": contract.target}})
    if contract.partitions:
        with transaction(connection, settings) as cursor:
            check_partitioned(live_tree(cursor, contract.schema, contract.table), contract)
    check_live(contract, live, policy)
    if changes(contract, live, policy):
        evolve(connection, settings, contract, policy, run_id)


def create(cursor: Cursor, contract: Contract) -> str:
    """Make schema, table, indexes and comments; return the DDL. The caller holds the target's lock."""
    statements = ddl(contract)
    for statement in statements:
        cursor.execute(statement)
    return ";\n".join(statements) + ";"


def ddl(contract: Contract) -> list[str]:
    """The statements that make a contract's table, in order."""
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateIndex, CreateSchema, CreateTable, SetColumnComment, SetTableComment

    table = _table(contract)
    # A paramstyle of "named": the others double percent signs, and a comment may hold one.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # of SQLAlchemy
    elements: list[sqlalchemy.schema.ExecutableDDLElement] = [
        CreateSchema(contract.schema, if_not_exists=True),
        CreateTable(table),
        *(CreateIndex(index) for index in sorted(table.indexes, key=lambda index: str(index.name))),
        *([SetTableComment(table)] if table.comment else []),
        *(SetColumnComment(column) for column in table.columns if column.comment),
    ]
    return [str(element.compile(dialect=dialect)).strip() for element in elements]


def _table(contract: Contract) -> sqlalchemy.Table:
    import sqlalchemy as sa

    table = sa.Table(
        contract.table,
        sa.MetaData(),
        *(
            sa.Column(
                c.name, _type(c.pg_type), nullable=_nullable(contract, c), comment=c.description or None
            )
            for c in contract.stored
        ),
        *(
            sa.Column(name, _type(pg_type), *_computed(contract, name), comment=comment)
            for name, (pg_type, comment) in own_columns(contract).items()
        ),
        *(
            sa.Column(name, _type(pg_type), nullable=False, comment=SYSTEM_COMMENTS[name])
            for name, pg_type in SYSTEM_COLUMNS.items()
        ),
        *(
            [sa.PrimaryKeyConstraint(*_identity(contract), name=f"{contract.table}_pkey"[-63:])]
            if contract.key
            else []
        ),
        # Deferrable: looked at when a statement ends, so that two rows of one load can swap their values.
        *(
            sa.UniqueConstraint(c.name, deferrable=True)
            for c in contract.stored
            if c.unique and contract.key != (c.name,)
        ),
        schema=contract.schema,
        comment=contract.description or None,
        **_divided(contract),
    )
    # Which rows a load wrote: a BRIN index costs next to nothing while loads append (ratio 0.98).
    sa.Index(f"{contract.table}_haulier_load"[-63:], table.c["_haulier_load"], postgresql_using="brin")
    if contract.valid_to:
        sa.Index(
            f"{contract.table}_current"[-63:],
            *(table.c[name] for name in contract.key),
            unique=True,
            postgresql_where=table.c[contract.valid_to].is_(None),
        )
    return table


def _divided(contract: Contract) -> dict[str, Any]:
    """What makes the table one of partitions, in the dialect's words."""
    if not contract.partitions:
        return {}
    outer = contract.partitions[0]
    column = outer.column.replace('"', '""')
    return {"postgresql_partition_by": f'{"LIST" if outer.by == "list" else "RANGE"} ("{column}")'}


def _identity(contract: Contract) -> tuple[str, ...]:
    """What no two rows have alike: the key, and of versions the column from which each holds."""
    return (*contract.key, contract.ordering) if contract.valid_to and contract.ordering else contract.key


def _computed(contract: Contract, name: str) -> list[sqlalchemy.Computed]:
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql

    if name != contract.is_current or not contract.valid_to:
        return []
    holds = sa.column(contract.valid_to).is_(None).compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]  # of SQLAlchemy
    return [sa.Computed(str(holds), persisted=True)]


def _nullable(contract: Contract, column: Column) -> bool:
    return not (column.required or column.key_position or column.name == contract.ordering)


def _type(pg_type: str) -> sqlalchemy.types.TypeEngine[object]:
    from sqlalchemy.types import UserDefinedType

    class Verbatim(UserDefinedType[object]):
        cache_ok = True

        def get_col_spec(self, **_: object) -> str:
            return pg_type

    return Verbatim()
