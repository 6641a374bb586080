"""Brings the ledger's schema to the newest version, by Alembic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import psycopg2

from haulier.ledger.connection import conninfo, driver_errors
from haulier.run import heard
from haulier.settings import Settings

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(target: Settings | str | Mapping[str, str], revision: str = "head") -> None:
    """Migrate the database that ``target`` names: settings, PG* variables or a libpq connection string.

    Several at once take turns; all of it is one transaction, so that a pooler may stand between. Raises the
    errors of `haulier.ledger.connection`.
    """
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    def connection() -> psycopg2.extensions.connection:
        if isinstance(target, str):
            return psycopg2.connect(target)
        keywords = conninfo(target.postgres if isinstance(target, Settings) else target)
        made: psycopg2.extensions.connection = heard(partial(psycopg2.connect, **keywords))
        return made

    engine = create_engine("postgresql+psycopg2://", creator=connection, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    with driver_errors(), engine.connect() as opened:
        opened.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('haulier.migrate', 0))"))
        opened.execute(text("CREATE SCHEMA IF NOT EXISTS haulier"))
        config.attributes["connection"] = opened
        command.upgrade(config, revision)
        opened.commit()


def run(migration: str) -> None:
    """The statements beside a migration, as they stand."""
    from alembic import op

    statements = Path(migration).with_suffix(".sql").read_text(encoding="utf-8")
    op.get_bind().exec_driver_sql(statements.replace("%", "%%"))


def refuse() -> None:
    """What every migration does when it is asked to go back."""
    raise RuntimeError("the ledger is never taken apart; restore a backup instead")
