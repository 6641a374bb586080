"""Eight sites of one trial, no two of which write alike: pipelines and tables alone make SDTM of them, row by row."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support.clinical import DAY, TRIALS, account, flags, haul_day, make_definitions, settings_of
from support.databases import fresh_database

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify

pytestmark = pytest.mark.requirement("R-31")

TRIAL = TRIALS / "orion"
SITES = {"dm": ("CLX", "BPX"), "lb": ("CLX", "WID", "MUC", "TOK", "LOI"), "vs": ("BPX", "PAR", "RED")}
#: How a site's file is encoded; what lies in the trial's folder is UTF-8, for people.
ENCODINGS = {"MUC": "cp1252", "TOK": "cp932", "PAR": "iso-8859-15"}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=";"))


def add_rows(folder: Path) -> None:
    """Rows of ``added/TABLE.csv`` stand before those of the table that every trial starts from; of ``TABLE_SITE.csv``
    in a table of that name."""
    for added in sorted((TRIAL / "added").iterdir(), reverse=True):
        _, *ours = added.read_text("utf-8").splitlines()
        header, *theirs = (folder / f"{added.stem.split('_')[0]}.csv").read_text("utf-8").splitlines()
        (folder / added.name).write_text("\n".join([header, *ours, *theirs, ""]), "utf-8")


@pytest.fixture(scope="module")
def orion(tier, tmp_path_factory):
    root = tmp_path_factory.mktemp("orion")
    add_rows(make_definitions("orion", root / "definitions") / "references")
    for pipeline, sites in SITES.items():
        for site in sites:
            path = root / f"landing/{site}/{pipeline}_{DAY:%Y-%m-%d}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            sent = (TRIAL / f"sent/{pipeline}_{site}.csv").read_text("utf-8")
            path.write_bytes(sent.encode(ENCODINGS.get(site, "utf-8")))
    with fresh_database(tier) as database:
        settings = settings_of(database, tier, root)
        for pipeline, sites in SITES.items():
            haul_day(settings, pipeline, sites)
        yield settings, database


@pytest.mark.requirement("R-25", "R-26", "R-27", "R-28", "R-31")
@pytest.mark.parametrize("domain", ["lb", "vs"])
def test_every_row_is_as_it_was_worked_out_by_hand(orion, domain):
    _, database = orion
    header, *expected = rows_of(TRIAL / f"expected/{domain}.csv")
    short = {"usubjid", "visitnum"}
    columns = [f"coalesce({name if name in short else domain + name}::text, '')" for name in header]
    found = database.rows(f"SELECT {', '.join(columns)} FROM sdtm.{domain}")

    assert sorted(map(list, found)) == sorted(expected)


@pytest.mark.parametrize("domain", ["lb", "vs"])
def test_the_number_is_that_of_the_standard_text(orion, domain):
    _, database = orion
    texts = f"SELECT {domain}stresc, {domain}stresn FROM sdtm.{domain} WHERE {domain}stresc IS NOT NULL"

    for text, number in database.rows(texts):
        assert (number is not None) == text.replace(".", "", 1).isdecimal()
        assert str(number or text) == text


def test_what_cannot_be_read_says_why_and_what_is_odd_is_flagged(orion):
    _, database = orion
    rejects = database.rows(
        "SELECT u.instance, j.row_number, j.rule, j.column_name, count(*) FROM haulier.reject AS j"
        " JOIN haulier.load USING (load_id) JOIN haulier.run AS u USING (run_id) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"
    )

    # 31 February, and six results of a visit in the month 13.
    assert rejects == [
        ("CLX", 24, "date-unreadable", "collected_date", 1),
        ("WID", 6, "date-unreadable", "collected_date", 6),
    ]
    assert flags(database, "clinical.lb") == {
        "result-in-words": 2,  # +/- and 1.234,5
        "specimen-condition": 4,
        "unit-unknown": 1,  # AST without one
        "test-unknown": 1,  # a LOINC code that is in no table
    }
    assert flags(database, "clinical.vs") == {
        "result-in-words": 2,  # 131/- and 12O/79
        "result-missing": 1,  # neither a weight nor a tick that there is none
        "implausible": 1,  # 1200 mmHg
    }


def test_the_accounts_are_closed(orion):
    settings, database = orion
    source, target = account(database)

    # Rows read, stripped, accepted, filtered, rejected; one of the central laboratory's lines is its trailer, one item of
    # the German one is a comment, and two rows of REDCap are of another instrument.
    assert source == {
        "clinical.dm": (3, 0, 3, 0, 0),
        "clinical.lb": (83, 1, 80, 1, 1),
        "clinical.vs": (25, 0, 23, 2, 0),
    }
    assert target == {"clinical.dm": (3, 3), "clinical.lb": (84, 78), "clinical.vs": (65, 65)}
    with connect(settings, "test") as connection:
        assert verify(connection, settings) == []
