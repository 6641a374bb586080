"""The clinical example's vital signs, built once by ETL and once by ELT from the same files: the same table."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from generator import Trial
from support.ledger import findings
from support.steps import haul

from haulier import loading
from haulier.interval import Interval
from haulier.settings import Settings

EXAMPLES = Path("examples").absolute()
ETL, ELT = ("clinical", "vitals", "clinical.vitals"), ("elt", "vitals_elt", "clinical_elt.vitals")
SITES = ("701", "702", "703")
DAYS = 5

#: Every column of the contract, of every row, as text in one order.
_CONTENT = """
SELECT count(*), md5(string_agg(one, E'\\n' ORDER BY one))
FROM (SELECT ROW(study, subject, visit, visit_date, position, testcd, result, unit)::text AS one FROM {table}) AS rows
"""


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("landing")
    Trial().deliver_all(folder)
    # The trial has no value that is possible and not usual.
    file = folder / "701/2026-01-05/vitals_2026-01-05.csv"
    arrived = file.stat().st_mtime
    sent = file.read_bytes()
    file.write_bytes(sent.replace(b",SUPINE,129,", b",SUPINE,229,", 1))
    assert file.read_bytes() != sent
    os.utime(file, (arrived, arrived))
    return folder


def hauled(database, folder, landing, how, days):
    """One pipeline over every site, its days in some order."""
    example, pipeline, table = how
    settings = Settings.from_env(
        {
            **database.environment,
            "HAULIER_EXCHANGE": f"file://{folder}/exchange",
            "HAULIER_DEFINITIONS": str(EXAMPLES / example),
            "HAULIER_SOURCE_ROOT": str(landing),
        }
    )
    first = datetime(2026, 1, 5, tzinfo=UTC)
    outcomes = []
    for site in SITES:
        for day in days:
            interval = Interval(start=first + timedelta(days=day), end=first + timedelta(days=day + 1))
            done = haul(settings, pipeline, site, interval)
            outcomes += [outcome.outcome for step, outcome in done.items() if step in ("load", "models")]
    assert findings(settings) == []
    assert set(outcomes) == {"loaded"}
    return database.rows(_CONTENT.format(table=table))


def test_both_ways_make_the_same_table(database, tmp_path, landing):
    by_etl = hauled(database, tmp_path, landing, ETL, range(DAYS))

    by_elt = hauled(database, tmp_path, landing, ELT, range(DAYS))

    assert by_elt == by_etl
    assert by_etl[0][0] > 600
    places = "SELECT {key}, d.logical_name, t._haulier_row FROM {table} t JOIN haulier.delivery d ON d.delivery_id = _haulier_delivery"
    key = "ROW(t.study, t.subject, t.visit, t.visit_date, t.position, t.testcd)::text"
    etl, elt = (set(database.rows(places.format(key=key, table=how[2]))) for how in (ETL, ELT))
    assert elt == etl


def test_both_keep_the_same_rows_out_and_look_at_the_same(database, tmp_path, landing):
    for how in (ETL, ELT):
        hauled(database, tmp_path, landing, how, range(DAYS))

    for kept in ("reject", "flag"):
        found = [
            set(
                database.rows(
                    f"SELECT d.instance, d.logical_name, k.row_number FROM haulier.{kept} k"
                    " JOIN haulier.delivery d USING (delivery_id) WHERE d.pipeline = %s",
                    [pipeline],
                )
            )
            for _, pipeline, _ in (ETL, ELT)
        ]
        assert found[0] == found[1]
        assert found[0], kept


def test_the_order_of_the_days_makes_no_difference(database, tmp_path, landing):
    by_etl = hauled(database, tmp_path, landing, ETL, range(DAYS))

    assert hauled(database, tmp_path, landing, ELT, list(reversed(range(DAYS)))) == by_etl


def test_both_contracts_promise_the_same():
    _, etl = loading.resolve(loading.load_pipeline(EXAMPLES / "clinical", "vitals"), "701")
    instance, _ = loading.resolve(loading.load_pipeline(EXAMPLES / "elt", "vitals_elt"), "701")
    elt = instance.models[0].contract

    assert msgspec.structs.replace(elt, schema="clinical") == etl
