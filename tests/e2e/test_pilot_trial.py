"""The real trial: nine sites' raw vitals and labs, a file per site and day of collection, every row answered for."""

from __future__ import annotations

import random
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from support.clinical import STANDARD_LB, environment_of, needs_data, read, write_file
from support.databases import fresh_database
from support.steps import haul, haul_cold

from haulier.interval import Interval
from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.settings import Settings

DEFINITIONS = Path(__file__).parent / "pilot"
MONTHS = {
    name: number
    for number, name in enumerate(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1
    )
}
MEASURED = {
    "IT.HEIGHT_VSORRES": "HEIGHT",
    "IT.WEIGHT": "WEIGHT",
    "IT.TEMP": "TEMP",
    "SYS_BP": "SYSBP",
    "DIA_BP": "DIABP",
    "PULSE": "PULSE",
}
#: Each row has its number beside what a laboratory knows.
STANDARDISED = STANDARD_LB - {"LBSEQ"}

pytestmark = needs_data


def day_of_vitals(row):
    day, month, year = row["VTLD"].split("-")
    return datetime(int(year), MONTHS[month], int(day), tzinfo=UTC)


@pytest.fixture(scope="module")
def raw():
    """(pipeline, site, day) -> its rows."""
    files = defaultdict(list)
    for row in read("pilot_raw_vs"):
        files["vitals", row["PATNUM"][:3], day_of_vitals(row)].append(row)
    for row in read("pilot_sdtm_lb"):
        day = datetime.fromisoformat(row["LBDTC"][:10]).replace(tzinfo=UTC)
        kept = {name: cell for name, cell in row.items() if name not in STANDARDISED}
        files["labs", row["USUBJID"][3:6], day].append(kept)
    return files


@pytest.fixture(scope="module")
def trial(raw, tier, tmp_path_factory):
    """The whole trial hauled once: its settings, database and landing area."""
    root = tmp_path_factory.mktemp("trial")
    for (pipeline, site, day), rows in raw.items():
        write_file(root / f"landing/{site}/{pipeline}_{day:%Y-%m-%d}.csv", rows)
    with ExitStack() as stack:
        database = stack.enter_context(fresh_database(tier))
        environment = {
            **environment_of(database, tier, root),
            "HAULIER_DEFINITIONS": str(DEFINITIONS),
            "HAULIER_SOURCE_ROOT": str(root),
        }
        settings = Settings.from_env(environment)
        for pipeline, site, day in sorted(raw):
            haul(settings, pipeline, site, a_day(day))
        yield settings, database, environment


def a_day(day):
    return Interval(start=day, end=day + timedelta(days=1))


def whole_tables(database):
    return [
        database.rows(f"SELECT count(*), md5(string_agg(md5(t::text), '' ORDER BY t::text)) FROM {table} t")
        for table in (
            "pilot.vitals",
            "pilot.labs",
            "haulier.load",
            "haulier.delivery",
            "haulier.reject",
            "haulier.chain",
        )
    ]


@pytest.mark.requirement("R-07")
def test_every_row_is_accounted_for(trial, raw):
    settings, database, _ = trial
    read_and_kept = database.rows(
        "SELECT l.target, sum(a.read), sum(a.accepted), sum(a.filtered), sum(a.rejected) FROM haulier.source_account a"
        " JOIN haulier.load l USING (load_id) GROUP BY 1 ORDER BY 1"
    )
    produced = database.rows(
        "SELECT target, sum(produced), sum(inserted) FROM haulier.load GROUP BY 1 ORDER BY 1"
    )

    # One vitals row carries no measurement at all; the others carry 17,721.
    assert read_and_kept == [("pilot.labs", 35335, 35335, 0, 0), ("pilot.vitals", 7757, 7756, 1, 0)]
    assert produced == [("pilot.labs", 35335, 35335), ("pilot.vitals", 17721, 17721)]
    assert sum(map(len, raw.values())) == 35335 + 7757
    with connect(settings, "test") as connection:
        assert verify(connection, settings) == []


def test_labs_are_verbatim_and_typed(trial, raw):
    _, database, _ = trial
    expected = {
        (r["USUBJID"], r["LBTESTCD"], Decimal(r["VISITNUM"]), datetime.fromisoformat(r["LBDTC"])): (
            r["LBORRES"] or None,
            r["LBORRESU"] or None,
            Decimal(r["LBORNRLO"]) if r["LBORNRLO"] else None,
            Decimal(r["LBORNRHI"]) if r["LBORNRHI"] else None,
        )
        for (pipeline, _, _), rows in raw.items()
        if pipeline == "labs"
        for r in rows
    }
    found = database.rows(
        "SELECT usubjid, lbtestcd, visitnum, lbdtc, lborres, lborresu, lbornrlo, lbornrhi FROM pilot.labs"
    )

    assert {row[:4]: row[4:] for row in found} == expected


def test_vitals_are_one_row_per_measurement(trial, raw):
    _, database, _ = trial
    expected = {
        (r["PATNUM"], r["INSTANCE"], day.date(), f"{r['TMPTC']}/{r['SUBPOS']}", code): Decimal(r[column])
        for (pipeline, _, day), rows in raw.items()
        if pipeline == "vitals"
        for r in rows
        for column, code in MEASURED.items()
        if r[column]
    }
    found = database.rows("SELECT patnum, instance, vtld, row_key, testcd, result FROM pilot.vitals")

    assert {row[:5]: row[5] for row in found} == expected


@pytest.mark.requirement("R-06")
def test_any_day_again_in_any_order_changes_nothing(trial, raw):
    settings, database, _ = trial
    before = whole_tables(database)
    days = sorted(raw)
    random.Random(7).shuffle(days)
    for pipeline, site, day in days[:300]:
        haul(settings, pipeline, site, a_day(day))

    assert whole_tables(database) == before


def test_a_sample_runs_cold(trial, raw):
    """As production does it: a process per step, nothing shared but the exchange and the ledger."""
    _, database, environment = trial
    before = whole_tables(database)
    for pipeline, site, day in random.Random(8).sample(sorted(raw), 3):
        codes = [code for code, _, _ in haul_cold(environment, pipeline, site, a_day(day))]
        assert codes == [0, 0, 0]

    assert whole_tables(database) == before
