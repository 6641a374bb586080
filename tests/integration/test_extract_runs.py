"""Which run and generation extract is of: done, fenced, reprocessed, replayed or only planned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.databases import Database
from support.extracting import Site
from support.steps import haul
from support.things import day

from haulier.errors import DataError, FencedError
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays
from haulier.sealing import read_manifest
from haulier_extract.step import plan


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    made = Site.made(database, exchange_environment, tmp_path)
    made.define()
    return made


def test_a_generation_that_is_not_the_runs_is_refused(site: Site) -> None:
    site.send("a.csv")
    assert site.extract(generation=1).generation == 1

    with pytest.raises(FencedError, match="is at generation 1, not 2"):
        site.extract(generation=2)


def test_a_loaded_run_is_done(site: Site) -> None:
    site.send("a.csv")
    haul(site.settings, "things", "one", day(0))

    outcome = site.extract()

    assert (outcome.outcome, outcome.exit_code, outcome.generation) == ("already done", 0, 1)
    assert outcome.manifest is not None


def test_a_loaded_run_is_done_though_its_manifest_was_swept(site: Site) -> None:
    site.send("a.csv")
    haul(site.settings, "things", "one", day(0))
    site.exchange.delete(site.task().keys("g1").manifest("extract"))

    outcome = site.extract()

    assert (outcome.outcome, outcome.content, outcome.manifest) == ("already done", "g1", None)


def test_reprocessing_opens_the_next_generation_of_the_same_files(site: Site) -> None:
    site.send("a.csv")
    haul(site.settings, "things", "one", day(0))

    assert site.extract(reprocess="units were wrong").generation == 2
    assert site.rows("g2") == site.rows("g1")


def test_a_quarantined_run_says_so_and_what_to_do(site: Site) -> None:
    site.send("a.csv", b"thing,price\none,much\n")
    assert haul(site.settings, "things", "one", day(0))["load"].exit_code == 65

    with pytest.raises(DataError, match=r"is already quarantined.*See them with haulier rejects") as raised:
        site.extract()
    assert raised.value.exit_code == 65


def test_a_replay_reads_the_rejected_rows_alone_under_the_definition_of_today(site: Site) -> None:
    site.define(load={"reject_threshold": 1})
    site.send("a.csv", b'thing,price\none,1\n"two,2\nthree,3\n')
    haul(site.settings, "things", "one", day(0))
    site.define(csv={"quote": ""}, load={"reject_threshold": 1})
    with connect(site.settings, "test") as connection:
        (asked,) = request_replays(
            connection,
            site.settings,
            "things",
            {"one": lambda _: "d" * 64},
            reason="no quotes there",
        )

    outcome = site.extract(replay=asked.replay_id)

    content = f"r{asked.replay_id}"
    assert (outcome.content, outcome.replay, outcome.generation) == (content, asked.replay_id, 1)
    assert site.rows(content) == [(0, 3, '"two', "2")]
    manifest = site.manifest(content)
    assert [(a.read, a.accepted) for a in manifest.accounts] == [(1, 1)]
    assert manifest.definition.source.csv.quote == ""


def test_a_plan_reserves_nothing_and_writes_below_its_folder_only(site: Site, tmp_path: Path) -> None:
    site.send("a.csv")
    site.send("b.csv", b"thing,price\nthree,3\n", hour=13)
    into = {"exchange": f"file://{tmp_path / 'plan'}"}

    outcome = plan(site.task(verb="plan", settings=into))

    assert (outcome.outcome, outcome.content, outcome.generation) == ("planned", "plan", 1)
    planned = open_exchange(replace(site.settings, exchange=into["exchange"]))
    manifest = read_manifest(planned, site.task().keys("plan"), "extract")
    assert [part.rows for part in manifest.parts] == [2, 1]
    assert [site.count(table) for table in ("run", "generation", "delivery")] == [0, 0, 0]
    assert site.exchange.size(manifest.deliveries[0].original) is None


def test_a_plan_after_a_first_generation_counts_what_the_next_would_haul(site: Site, tmp_path: Path) -> None:
    gone = site.send("a.csv")
    site.extract()
    gone.unlink()
    site.send("b.csv", b"thing,price\nthree,3\n", hour=13)

    outcome = plan(site.task(verb="plan", settings={"exchange": f"file://{tmp_path / 'plan'}"}))

    assert (outcome.generation, outcome.counts["read"]) == (2, 1)
    assert "file://one/a.csv is not at its source any more: not planned" in outcome.notes
    assert site.count("generation") == 1
