"""How tools that many rely on have lost rows, as their users reported it; and what happens here instead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from psycopg2 import sql
from support.databases import Database
from support.hauling import Sender, settings_of
from support.ledger import findings
from support.site import DAY, Site

from haulier.interval import Interval
from haulier.settings import Settings
from haulier_load import step
from haulier_load.step import load

TENANTS, ROWS = 6, 2000


@pytest.fixture
def settings(database: Database, tmp_path: Any) -> Settings:
    return settings_of(database, tmp_path)


def rows_of(tenant: str, colour: str) -> list[dict[str, Any]]:
    return [{"thing": f"{tenant}-{n}", "colour": colour, "price": Decimal(n)} for n in range(ROWS)]


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_tenants_that_load_at_once_share_a_table_and_no_staging(
    settings: Settings, database: Database, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dlt-hub/dlt#4297: pipelines of one dataset, one for each of some 800 tenants, share its staging tables. Each load
    truncates them first and merges all that is in them: two that overlap lost the other's rows, or wrote them twice.

    Here each load stages into a TEMP table of its own session. All tenants have staged before the first of them
    merges; each merges its own rows and no others.
    """
    sender = Sender(settings=settings, mode=mode, reject_threshold=1)
    tenants = [f"tenant{at}" for at in range(TENANTS)]
    for day, colour in enumerate(("before", "after")):
        reserved = {}
        for tenant in tenants:
            rows = {f"{tenant}.csv": rows_of(tenant, colour)}
            reserved[tenant] = sender.reserve(
                day, {f"{tenant}.csv": f"{tenant} {colour}".encode()}, instance=tenant
            )
            sender.seal(day, reserved[tenant], rows, instance=tenant)
        if day == 0:
            for tenant in tenants:
                load(sender.task(day, instance=tenant, generation=reserved[tenant].generation))
            continue
        staged = Barrier(TENANTS, timeout=60)
        _wait_after_staging(monkeypatch, staged)
        with ThreadPoolExecutor(TENANTS) as pool:
            tasks = [sender.task(day, instance=t, generation=reserved[t].generation) for t in tenants]
            outcomes = list(pool.map(load, tasks))

    assert [outcome.counts["updated"] for outcome in outcomes] == [ROWS] * TENANTS
    assert database.rows(
        "SELECT colour, count(*), count(DISTINCT thing) FROM shop.things GROUP BY colour"
    ) == [("after", TENANTS * ROWS, TENANTS * ROWS)]
    assert findings(settings) == []


def _wait_after_staging(monkeypatch: pytest.MonkeyPatch, staged: Barrier) -> None:
    """Nobody merges before everybody has staged."""
    following = step.limit_idle

    def wait(*given: Any) -> None:
        staged.wait()
        following(*given)

    monkeypatch.setattr(step, "limit_idle", wait)


@pytest.mark.parametrize("mode", ["upsert", "append", "replace"])
@pytest.mark.parametrize("nothing", ["no file", "a header alone", "the same file"])
def test_a_run_with_nothing_new_empties_no_table(
    database: Database, exchange_environment: dict[str, str], tmp_path: Any, mode: str, nothing: str
) -> None:
    """dlt-hub/dlt#3998: an incremental load whose source had not changed truncated its table in BigQuery.

    Here a run without a new row changes nothing, whatever the mode and however there is nothing: it is recorded as
    empty (exit 99), or loads no row. Beside it: `test_a_run_without_rows_changes_nothing_and_does_not_count_as_newer_content`
    and, for APIs, `test_an_answer_of_no_content_is_an_empty_run_and_harms_nothing`.
    """
    site = Site.made(database, exchange_environment, tmp_path)
    site.define({"csv": {}}, path="*.csv", mode=mode)
    site.send("things.csv", b"thing,at\na,2026-01-05T00:00:00Z\nb,2026-01-05T00:00:00Z\n")
    site.haul()
    before = database.rows("SELECT thing, at FROM shop.things ORDER BY thing")
    next_day = Interval(start=DAY.end, end=DAY.end + (DAY.end - DAY.start))

    if nothing == "a header alone":
        site.send("empty.csv", b"thing,at\n", next_day)
    elif nothing == "the same file":
        site.send("things.csv", (site.landing / "things.csv").read_bytes(), next_day)
    outcomes = site.run(next_day)

    assert list(outcomes)[-1] == ("load" if nothing == "a header alone" else "extract")
    assert len(before) == 2
    assert database.rows("SELECT thing, at FROM shop.things ORDER BY thing") == before
    assert site.verified() == []


@pytest.mark.parametrize("mode", ["upsert", "append", "replace"])
def test_what_hangs_on_a_table_is_there_after_every_load(
    settings: Settings, database: Database, mode: str
) -> None:
    """airbytehq/airbyte#33542: a full refresh deletes its table and makes it anew, and the rights that roles had on
    it are gone after each sync; as expected, says the answer there. Views on it are dropped or stop the sync.

    Here every mode changes the rows of the table that is there. For `replace` and drift also:
    `test_views_grants_comments_constraints_and_readers_live_through_it`, `test_views_grants_and_readers_live_through_it`.
    """
    sender = Sender(settings=settings, mode=mode, reject_threshold=1)
    sender.send(0, {"a.csv": [{"thing": "x", "colour": "red", "price": Decimal(1)}]})
    oid = "SELECT 'shop.things'::regclass::oid"
    before = database.rows(oid)
    role = sql.Identifier(f"reader_of_{database.name}")
    try:
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE ROLE {}").format(role))
            cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA shop TO {}").format(role))
            cursor.execute(sql.SQL("GRANT SELECT ON shop.things TO {}").format(role))
            cursor.execute("CREATE VIEW shop.seen AS SELECT thing, colour FROM shop.things")
            cursor.execute("CREATE INDEX of_theirs ON shop.things (colour)")
        connection.close()

        another = "y" if mode == "append" else "x"
        sender.send(1, {"b.csv": [{"thing": another, "colour": "blue", "price": Decimal(1)}]})

        assert database.rows(oid) == before
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("SET ROLE {}").format(role))
            cursor.execute("SELECT colour FROM shop.things ORDER BY 1")
            seen = cursor.fetchall()
        connection.close()
        assert seen == ([("blue",), ("red",)] if mode == "append" else [("blue",)])
        assert database.rows("SELECT colour FROM shop.seen ORDER BY 1") == seen
        assert database.rows("SELECT indexname FROM pg_indexes WHERE indexname = 'of_theirs'") == [
            ("of_theirs",)
        ]
    finally:
        with database.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP OWNED BY {}").format(role))
            cursor.execute(sql.SQL("DROP ROLE {}").format(role))
        connection.close()
