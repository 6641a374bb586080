"""SQL models: what a run's raw rows become in PostgreSQL, once, in one transaction, with an account."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest
from support.elt import DAY, MODELS, PIPELINE, RUN, THINGS, Site, commanded

from haulier.errors import TransientError


@pytest.fixture
def site(database, tmp_path):
    return Site.made(database, tmp_path)


class TestBuilding:
    def test_a_run_builds_its_models_in_the_order_of_their_references(self, site, database):
        site.send(0, "lamp,Red,4.20", "chair,blue,20", "skip,red,1", "rug,red,7.5")

        done = site.haul(0)

        assert site.things() == [
            ("chair", "blue", Decimal("20.00")),
            ("lamp", "red", Decimal("4.20")),
            ("rug", "red", Decimal("7.50")),
        ]
        assert database.rows("SELECT * FROM shop.colours ORDER BY 1") == [
            ("blue", 1, Decimal("20.00")),
            ("red", 2, Decimal("11.70")),
        ]
        assert database.rows("SELECT thing FROM shop.dear ORDER BY 1") == [("chair",), ("lamp",)]
        assert (done["load"].models, done["models"].outcome) == (3, "loaded")
        assert list(done["models"].counts["models"]) == ["things", "colours", "dear"]
        assert database.rows("SELECT status FROM haulier.run") == [("loaded",)]
        assert site.violations() == []

    def test_both_accounts_close_and_a_row_that_the_model_leaves_out_is_filtered(self, site, database):
        site.send(0, "lamp,red,4", "skip,red,1", "chair,mauve,2", "lamp,red,4")

        site.haul(0)

        assert database.rows(
            "SELECT read, accepted, filtered, a.rejected, stripped, produced, inserted, duplicate, l.rejected"
            " FROM haulier.load l JOIN haulier.source_account a USING (load_id) WHERE kind = 'model'"
        ) == [(4, 3, 1, 0, 0, 3, 1, 1, 1)]
        assert site.violations() == []

    def test_tables_and_views_follow_an_upsert_whichever_run_brought_a_row(self, site, database):
        pipeline = PIPELINE.replace("mode: append", "mode: upsert").replace(
            "[dear, things, colours]", "[dear, colours]"
        )
        site.define("pipelines/things.yaml", pipeline.replace("raw.odcs", "things.odcs"))
        site.send(0, "lamp,red,4", "chair,blue,20")
        site.send(1, "lamp,red,9", "rug,red,1")

        site.haul(0)
        site.haul(1)
        assert site.haul(0, reprocess="once more")["models"].outcome == "loaded"
        assert site.haul(1)["models"].outcome == "already done"

        assert database.rows("SELECT * FROM shop.colours ORDER BY 1") == [
            ("blue", 1, Decimal("20.00")),
            ("red", 2, Decimal("10.00")),
        ]
        assert database.rows("SELECT count(*) FROM shop.dear") == [(2,)]
        assert database.rows("SELECT DISTINCT status FROM haulier.run") == [("loaded",)]
        assert site.violations() == []

    def test_a_replay_is_read_by_tables_and_views_that_stand_alone(self, site, database):
        pipeline = PIPELINE.replace("mode: append", "mode: upsert").replace(
            "[dear, things, colours]", "[dear, colours]"
        )
        site.define("pipelines/things.yaml", pipeline.replace("raw.odcs", "things.odcs"))
        site.send(0, "lamp,red,4", "chair,mauve,20", "rug,red,2")
        site.haul(0)
        (reject,) = (str(one) for (one,) in database.rows("SELECT reject_id FROM haulier.reject"))
        assert f"--reject {reject}" in commanded(site, "rejects", "show", reject)[1]

        site.define(
            "contracts/things.odcs.yaml", THINGS.replace("{value: blue}", "{value: blue}, {value: mauve}")
        )
        code, said = commanded(site, "replay", *RUN, "--reason", "mauve is a colour")

        assert code == 0, said
        assert database.rows("SELECT * FROM shop.colours ORDER BY 1") == [
            ("mauve", 1, Decimal("20.00")),
            ("red", 2, Decimal("6.00")),
        ]
        assert database.rows("SELECT thing FROM shop.dear ORDER BY 1") == [("chair",), ("lamp",)]
        assert database.rows("SELECT DISTINCT status FROM haulier.run") == [("loaded",)]
        assert site.violations() == []

    def test_a_plan_of_tables_and_views_alone_shows_their_ddl(self, site):
        pipeline = PIPELINE.replace("mode: append", "mode: upsert").replace(
            "[dear, things, colours]", "[colours]"
        )
        site.define("pipelines/things.yaml", pipeline.replace("raw.odcs", "things.odcs"))
        site.send(0, "lamp,red,4")

        code, said = commanded(site, "plan", *RUN, *DAY)

        assert code == 0, said
        assert "CREATE TABLE shop.colours AS" in said

    def test_the_ledger_says_what_each_model_read(self, site, database):
        site.send(0, "lamp,red,4")

        site.haul(0)

        assert database.rows(
            "SELECT model, reads, rows, load_id IS NOT NULL FROM haulier.model_build ORDER BY build_id"
        ) == [
            ("things", ["shop.things_raw"], 1, True),
            ("colours", ["shop.things"], 1, False),
            ("dear", ["shop.colours", "shop.things"], None, False),
        ]

    def test_the_same_run_again_changes_nothing(self, site, database):
        site.send(0, "lamp,red,4", "chair,mauve,2")
        site.haul(0)
        kept = (
            "shop.things",
            "shop.colours",
            "haulier.load",
            "haulier.reject",
            "haulier.model_build",
            "haulier.schema_change",
        )
        before = [database.rows(table) for table in kept]

        again = site.haul(0)

        assert [database.rows(table) for table in kept] == before
        assert again["models"].outcome == "already done"
        assert again["models"].counts["models"]["things"]["rejected"] == 1

    def test_a_run_that_was_loaded_before_its_pipeline_had_models_has_none(self, site, database):
        pipeline = (site.folder / "pipelines/things.yaml").read_text()
        site.define("pipelines/things.yaml", pipeline.replace("models: [dear, things, colours]\n", ""))
        site.send(0, "lamp,red,4")
        site.haul(0)
        site.define("pipelines/things.yaml", pipeline)

        assert "models" not in site.haul(0)

        site.haul(0, reprocess="models")
        assert site.things() == [("lamp", "red", Decimal(4))]

    def test_sql_can_ask_which_run_it_is_of(self, site, database):
        site.define(
            "models/things.sql",
            MODELS["things"].replace(
                "r.thing, lower", "current_setting('haulier.instance') || r.thing AS thing, lower"
            ),
        )
        site.send(0, "lamp,red,4")

        site.haul(0)

        assert site.things()[0][0] == "alamp"

    def test_models_wait_for_the_raw_rows(self, site):
        site.send(0, "lamp,red,4")
        site.haul(0, before="load")

        with pytest.raises(TransientError, match="must run first"):
            site.build(0)


def test_killed_at_any_moment_and_run_again_the_models_are_whole(site, database):
    """SIGKILL while the transaction is open, at moments spread over it; the run is then done again."""
    site.send(0, *(f"thing {n},red,{n}" for n in range(900)))
    site.haul(0, before="models")
    slow = "SELECT pg_sleep(0.02) FROM generate_series(1, 40)"
    database.rows(
        "CREATE FUNCTION shop.slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM * FROM ({slow}) s; RETURN NULL; END $$;"
        "CREATE TRIGGER slow AFTER INSERT ON haulier.chain FOR EACH STATEMENT EXECUTE FUNCTION shop.slow()"
    )
    words = ["models", *RUN, *DAY, "--generation", "1"]
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "haulier_transform", *words],
            env={**os.environ, **site.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not database.rows(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%INSERT INTO haulier.chain%'"
            " AND state = 'active' AND pid <> pg_backend_pid()"
        ):
            assert process.poll() is None
        process.kill()
        process.wait()
        assert database.rows("SELECT count(*) FROM haulier.model_build") == [(0,)]

    done = site.build(0)

    assert done.counts["models"]["things"]["inserted"] == 900
    assert database.rows("SELECT count(*) FROM shop.things") == [(900,)]
    assert site.violations() == []
