"""What the haulier command does with models, and says of them."""

from __future__ import annotations

import json
import re

import pytest
from support.elt import DAY, MODELS, PIPELINE, RUN, THINGS, Site, commanded


@pytest.fixture
def site(database, tmp_path):
    return Site.made(database, tmp_path)


class TestCommand:
    @pytest.mark.parametrize("how", [[], ["--in-process"]])
    def test_run_builds_the_models_and_tells_both_accounts(self, site, how):
        site.send(0, "lamp,red,4", "chair,mauve,1", "skip,red,1")

        code, said = commanded(site, "run", *RUN, *DAY, *how)

        assert code == 0, said
        assert [name for name, *_ in site.things()] == ["lamp"]
        assert re.search(r"things +a +1 +1 +3 +3 +1 loaded", said)
        assert re.search(r"things +a +shop\.things +2 +1 +1", said)

    def test_plan_counts_what_a_merge_would_do_and_shows_all_ddl(self, site, database):
        site.send(0, "lamp,red,4", "lamp,red,4", "chair,mauve,1", "bed,blue,2")

        code, said = commanded(site, "plan", *RUN, *DAY)

        assert code == 0, said
        told = said[said.index("shop.things\n") :]
        assert re.search(r"produced +4\n *inserted +2\n *duplicate +1\n *rejected +1", told), told
        assert "CREATE TABLE shop.things" in said
        assert "CREATE OR REPLACE VIEW" in said
        assert re.search(r"colours +table +shop\.colours", said)
        assert database.rows("SELECT to_regclass('shop.things'), count(*) FROM haulier.run") == [(None, 0)]

    def test_trace_leads_from_a_models_row_to_its_line(self, site):
        site.send(0, "chair,blue,1", "lamp,red,4")
        site.haul(0)

        code, said = commanded(site, "trace", "shop.things", "thing=lamp")

        assert code == 0, said
        assert re.search(r"a_2026-01-05\.csv sequence 1, row 3\n+ *lamp,red,4", said), said

    def test_trace_leads_from_a_line_to_both_tables(self, site):
        site.send(0, "chair,blue,1", "lamp,red,4")
        site.haul(0)

        code, said = commanded(site, "trace", "--file", "a_2026-01-05.csv", "--row", "3")

        assert code == 0, said
        assert "shop.things_raw" in said
        assert "shop.things:" in said or "shop.things " in said

    def test_trace_leads_from_a_line_to_a_key_that_the_file_does_not_have(self, site):
        site.define("pipelines/things.yaml", PIPELINE.replace("[dear, things, colours]", "[things]"))
        site.define("contracts/things.odcs.yaml", THINGS.replace("name: thing,", "name: what,"))
        site.define(
            "models/things.sql", MODELS["things"].replace("SELECT r.thing,", "SELECT r.thing AS what,")
        )
        site.send(0, "chair,blue,1", "lamp,red,4")
        site.haul(0)

        code, said = commanded(site, "trace", "--file", "a_2026-01-05.csv", "--row", "3")

        assert code == 0, said
        assert "shop.things what lamp" in said

    def test_check_finds_a_circle(self, site):
        site.define("models/colours.sql", MODELS["colours"].replace("FROM shop.things", "FROM shop.dear"))

        code, said = commanded(site, "check")

        assert code == 2
        assert "models read each other in a circle: dear reads colours reads dear" in said

    def test_print_shows_the_models_command(self, site):
        _, said = commanded(site, "run", *RUN, *DAY, "--print")

        assert re.search(r"haulier_transform models --pipeline things", said)

    def test_a_plan_says_what_hauling_a_run_anew_would_do_that_is_done_or_quarantined(self, site, database):
        site.send(0, "lamp,mauve,4", "rug,red,1", "vase,red,1")
        site.haul(0)
        site.send(1, "bed,mauve,4")
        assert site.haul(1)["models"].outcome == "quarantined"
        done = json.loads(commanded(site, "plan", *RUN, *DAY, "--output", "json")[1])
        assert list(done["steps"]) == ["extract"]
        assert "--reprocess REASON" in commanded(site, "plan", *RUN, *DAY)[1]
        before = database.rows("haulier.generation"), database.rows("haulier.load")
        next_day = ("--interval-start", DAY[3], "--interval-end", "2026-01-07T00:00:00Z")
        assert commanded(site, "plan", *RUN, *next_day)[0] == 65
        assert commanded(site, "plan", *RUN, *next_day, "--reprocess", "look again")[0] == 0
        site.define(
            "contracts/things.odcs.yaml", THINGS.replace("{value: red}", "{value: red}, {value: mauve}")
        )

        asked = ("plan", *RUN, *DAY, "--reprocess", "mauve is a colour", "--output", "json")
        code, said = commanded(site, *asked)

        assert code == 0, said
        steps = json.loads(said)["steps"]
        assert (steps["load"]["counts"]["inserted"], steps["load"]["counts"]["removed"]) == (3, 3)
        things = steps["models"]["counts"]["models"]["things"]
        assert (things["inserted"], things["unchanged"], things["rejected"]) == (1, 2, 0)
        assert (database.rows("haulier.generation"), database.rows("haulier.load")) == before

    def test_status_and_rejects_show_what_the_models_kept_out_though_the_raw_rows_are_in(self, site):
        site.send(0, "lamp,mauve,4", "chair,mauve,1", "rug,red,1")
        site.haul(0)

        seen = json.loads(commanded(site, "status", "--output", "json")[1])
        (held,) = seen["quarantined"]
        account = ("target", "read", "inserted", "rejected", "held", "open_rejects")
        assert [held[name] for name in account] == ["shop.things", 3, 0, 2, 1, 2]
        assert next(one["rows"] for one in seen["instances"] if one["instance"] == "a") is None
        assert re.search(r"2026-01-05 +shop\.things +3 +2 +1 ", commanded(site, "status")[1])
        listed = commanded(site, "rejects", "list", *RUN)[1]
        assert re.search(r"things +enum +colour +2 +2 ", listed)
        assert "quarantined: of runs that were kept out whole" in listed

    def test_a_quarantined_run_is_corrected_when_the_models_of_the_later_one_are_through(self, site):
        site.define(
            "pipelines/things.yaml",
            PIPELINE.replace('logical_name: "{name}"', 'logical_name: "{name}", look_back_days: 2'),
        )

        def corrected() -> list[bool]:
            seen = json.loads(commanded(site, "status", "--output", "json")[1])
            return [one["corrected"] for one in seen["quarantined"]]

        site.send(0, "lamp,mauve,4")
        site.haul(0)
        site.send(0, "lamp,mauve,5")
        assert site.haul(1)["load"].outcome == "loaded"
        assert corrected() == [False, False]

        site.send(0, "lamp,red,4")
        site.haul(2)

        assert corrected() == [True, True]
