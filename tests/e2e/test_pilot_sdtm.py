"""The real trial, raw: nine sites' labs without anything standard and half-wide vital signs without units become the
finished SDTM that was made of them by hand."""

from __future__ import annotations

import pytest
from support.clinical import DATA, environment_of, haul_pilot, make_definitions, needs_data
from support.databases import fresh_database
from support.pilot import labs, metric, vitals

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify
from haulier.settings import Settings
from haulier_clinical.__main__ import main

pytestmark = needs_data


@pytest.fixture(scope="module")
def trial(tier, tmp_path_factory):
    """The whole trial hauled once, a file a site and domain: its settings and database."""
    root = tmp_path_factory.mktemp("pilot")
    make_definitions("pilot", root / "definitions")
    with fresh_database(tier) as database:
        environment = environment_of(database, tier, root)
        settings = Settings.from_env(environment)
        haul_pilot(settings, root)
        yield settings, database, environment


@pytest.mark.parametrize(
    ("asked", "answers"),
    [
        pytest.param(
            labs,
            [
                ("rows of the key that the table has", 35335, 35335, 0),
                ("rows of the table that the key has", 35335, 35335, 0),
                ("LBSTRESN~0.001 where LBSTRESN!=", 34796, 34796, 0),
                ("LBSTRESC where LBSTRESN=", 539, 539, 0),
                ("LBNRIND where LBORNRLO!=", 33607, 33607, 0),
                ("LBDY", 35335, 35335, 0),
            ],
            marks=pytest.mark.requirement("R-25", "R-29", "R-33"),
            id="labs",
        ),
        pytest.param(
            vitals,
            [
                ("rows of the key that the table has", 17721, 17721, 0),
                ("rows of the table that the key has", 17721, 17721, 0),
                ("VSORRES", 17721, 17721, 0),
                ("VSSTRESN~0.001 where VSORRESU!=cm", 17715, 17715, 0),
                ("VSDY", 17721, 17721, 0),
            ],
            marks=pytest.mark.requirement("R-29", "R-34"),
            id="vital signs",
        ),
    ],
)
def test_what_is_raw_becomes_what_is_finished(trial, asked, answers):
    found = [(one.question, one.rows, one.matched, one.differing) for one in asked(trial[0])]

    assert found == answers


@pytest.mark.requirement("R-27", "R-34")
def test_every_metric_cell_among_inches_is_flagged_and_none_is_converted(trial):
    _, database, _ = trial
    answer = metric(database)

    assert (answer.rows, answer.matched, answer.differing) == (6, 6, 0)


def test_nothing_of_a_row_is_rejected_and_what_is_odd_is_said(trial):
    settings, database, _ = trial
    account = database.rows(
        "SELECT l.target, sum(a.read), sum(a.accepted), sum(a.filtered), sum(a.rejected) FROM haulier.source_account a"
        " JOIN haulier.load l USING (load_id) GROUP BY 1 ORDER BY 1"
    )
    odd = database.rows("SELECT rule, count(*) FROM haulier.flag GROUP BY 1 ORDER BY 1")

    # One row of vital signs carries no measurement; COLOR is N, which no table explains; three diastolic pressures of 39
    # and eleven weights below 35 kg.
    assert account == [
        ("clinical.dm", 191, 191, 0, 0),
        ("clinical.lb", 35335, 35335, 0, 0),
        ("clinical.vs", 7757, 7756, 1, 0),
    ]
    assert odd == [("implausible", 6), ("result-in-words", 534), ("unusual", 14)]
    with connect(settings, "test") as connection:
        assert verify(connection, settings) == []


def test_the_command_ends_with_1_where_something_differs(trial, monkeypatch, capsys):
    for name, value in trial[2].items():
        monkeypatch.setenv(name, value)
    asked = [
        "score",
        "--key",
        str(DATA / "pilot_sdtm_lb.csv.gz"),
        "--table",
        "sdtm.lb",
        "--where",
        "LBTESTCD=PLAT",
    ]
    asked += ["--on", "USUBJID", "LBTESTCD", "VISITNUM", "LBDTC", "--ask"]

    # A laboratory's THOU/uL is CDISC's 10^9/L, and all other tests are no rows of this part of the key.
    assert main([*asked, "LBORRES", "LBORRESU"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.startswith(("LBORRES", "LBORRESU"))] == [
        ["LBORRES", "1057", "1057", "0"],
        ["LBORRESU", "1057", "0", "1057"],
    ]
    assert main([*asked, "NO_COLUMN"]) == 2
    assert "NO_COLUMN" in capsys.readouterr().err
