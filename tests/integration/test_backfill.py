"""`haulier backfill`: the past again, side by side, and the newest rows stay."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.lab import lab

DAYS = ("--from", "2026-01-05", "--to", "2026-01-09")


@pytest.fixture
def here(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        made.keep_history()
        yield made


NEWEST = [(thing, "colour of the 8th", Decimal(1)) for thing in "ab"]


def outcomes(document):
    return [(one["interval_start"][:10], one["outcome"]) for one in document["runs"]]


class TestBackfill:
    def test_runs_of_one_instance_go_side_by_side_and_the_newest_rows_stay(self, here):
        code, document, told = here.say("backfill", "--pipeline", "things", *DAYS, "--jobs", "3")

        assert (code, {outcome for _, outcome in outcomes(document)}) == (0, {"loaded"}), told
        assert here.table() == NEWEST
        (line,) = document["summary"]
        assert (line["runs"], line["source"]["read"]) == (4, 8)

    def test_older_runs_that_are_hauled_last_overwrite_nothing(self, here):
        _, document, _ = here.say("backfill", "--pipeline", "things", *DAYS, "--in-process")

        assert [start for start, _ in outcomes(document)] == [f"2026-01-0{n}" for n in (8, 7, 6, 5)]
        assert here.table() == NEWEST
        assert document["summary"][0]["target"]["superseded"] == 6

    def test_called_again_it_goes_on_with_what_is_not_loaded(self, here):
        here.do("UPDATE history SET price = 'much' WHERE at LIKE '2026-01-06%'")
        code, document, _ = here.say("backfill", "--pipeline", "things", *DAYS, "--in-process")
        assert code == 65
        assert dict(outcomes(document))["2026-01-06"] == "quarantined"
        here.do("UPDATE history SET price = '2'")
        code, document, _ = here.say("backfill", "--pipeline", "things", *DAYS, "--in-process")

        assert (code, outcomes(document)) == (0, [("2026-01-06", "loaded")])
        assert here.say("backfill", "--pipeline", "things", *DAYS)[1]["loaded_before"] == 4

    def test_a_reason_to_do_it_all_again_is_heeded_once(self, here):
        words = ("backfill", "--pipeline", "things", *DAYS, "--in-process")
        here.say(*words)
        assert len(here.say(*words, "--reprocess", "units")[1]["runs"]) == 4
        assert here.say(*words, "--reprocess", "units")[1]["loaded_before"] == 4

    @pytest.mark.parametrize(
        ("sql", "why"),
        [
            (
                {"watermark": {"column": "at"}, "key": ["thing"]},
                "state set or reset lets its next run begin earlier",
            ),
            ({"key": ["thing"]}, "its next run reads everything"),
        ],
    )
    def test_what_is_read_as_it_stands_has_no_past(self, here, sql, why):
        here.define(table="history", schedule="@daily", **sql)
        code, document, _ = here.say("backfill", "--pipeline", "things", *DAYS)

        assert code == 2
        assert "reads what is there now, whichever interval is named" in document["error"]
        assert why in document["error"]
