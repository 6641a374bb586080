"""What `haulier_extract check` says of definitions, folders, exchange and ledger."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.databases import Database
from support.extracting import Site

from haulier_extract.check import check


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    made = Site.made(database, exchange_environment, tmp_path)
    made.define()
    return made


class TestCheck:
    def test_all_is_well(self, site: Site) -> None:
        assert check(None, None, site.settings) == []
        assert check("things", "one", site.settings) == []

    def test_everything_that_is_wrong_is_said_at_once(self, site: Site, tmp_path: Path) -> None:
        site.define(csv={"delimeter": ";"})
        settings = replace(
            site.settings,
            source_root=tmp_path / "unmounted",
            exchange="ftp://elsewhere",
            postgres={**site.settings.postgres, "PGDATABASE": "nowhere"},
        )

        assert [subject for subject, _ in check(None, None, settings)] == [
            "things",
            "HAULIER_SOURCE_ROOT",
            "exchange",
            "ledger",
        ]

    def test_a_store_that_lets_two_win_is_found_out(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        exchange = site.exchange

        def careless(key: str, data: bytes) -> bool:
            exchange.put(key, data)
            return True

        monkeypatch.setattr(exchange, "create", careless)
        monkeypatch.setattr("haulier_extract.check.open_exchange", lambda _: exchange)

        assert [problem.partition(" does ")[2] for _, problem in check(None, None, site.settings)] == [
            "not keep If-None-Match: two attempts could both win",
            "not give back what was written",
        ]
