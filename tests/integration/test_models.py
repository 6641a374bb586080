"""SQL models: what a run's raw rows become in PostgreSQL, once, in one transaction, with an account."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest
from support.elt import DAY, MODELS, PIPELINE, RUN, THINGS, Site, commanded

from haulier.errors import DefinitionError, TransientError


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


class TestOrder:
    def test_a_merge_sees_only_the_rows_of_its_run(self, site, database):
        site.send(0, "lamp,red,4")
        site.send(1, "chair,blue,2")
        site.haul(0)

        site.haul(1)

        assert database.rows(
            "SELECT produced, inserted FROM haulier.load WHERE kind = 'model' ORDER BY load_id"
        ) == [
            (1, 1),
            (1, 1),
        ]
        assert database.rows("SELECT sum(things) FROM shop.colours") == [(2,)]

    def test_an_older_run_that_comes_late_never_overwrites(self, site):
        site.send(0, "lamp,red,4", "chair,blue,1")
        site.send(1, "lamp,green,5")
        site.haul(1)

        site.haul(0)

        assert site.things() == [("chair", "blue", Decimal(1)), ("lamp", "green", Decimal(5))]
        assert site.violations() == []

    def test_what_was_there_before_goes_to_the_history(self, site, database):
        for number, colour in enumerate(("red", "green")):
            site.send(number, f"lamp,{colour},4")
            site.haul(number)

        assert database.rows("SELECT target, operation, before ->> 'colour' FROM haulier.history") == [
            ("shop.things", "update", "red")
        ]
        assert site.violations() == []

    def test_two_instances_share_the_targets(self, site, database):
        site.send(0, "lamp,red,4")
        site.send(0, "chair,blue,2", instance="b")

        site.haul(0)
        site.haul(0, instance="b")

        assert [row[0] for row in site.things()] == ["chair", "lamp"]
        assert database.rows("SELECT count(*) FROM haulier.schema_change WHERE target = 'shop.dear'") == [
            (1,)
        ]
        assert site.violations() == []

    def test_a_corrected_file_closes_what_the_first_one_had_rejected(self, site, database):
        site.send(0, "lamp,red,cheap", "rug,red,1")
        site.haul(0)
        assert site.things() == [("rug", "red", Decimal(1))]

        site.send(0, "lamp,red,4", "rug,red,1")
        site.haul(0)

        assert [row[0] for row in site.things()] == ["lamp", "rug"]
        assert database.rows("SELECT count(*) FROM haulier.open_reject") == [(0,)]
        assert site.violations() == []

    def test_a_changed_model_applies_to_a_run_that_is_reprocessed(self, site, database):
        site.send(0, "lamp,mauve,4", "rug,red,1")
        site.haul(0)
        site.define(
            "contracts/things.odcs.yaml", THINGS.replace("{value: red}", "{value: red}, {value: mauve}")
        )

        site.haul(0, reprocess="mauve is a colour")

        assert [row[:2] for row in site.things()] == [("lamp", "mauve"), ("rug", "red")]
        assert database.rows("SELECT status FROM haulier.reject_event") == [("regenerated",)]
        assert site.violations() == []

    def test_an_older_definition_never_takes_a_view_back(self, site, database):
        """The models of run 0, loaded under the older definition, come after those of run 1."""
        site.send(0, "lamp,red,4")
        site.haul(0, before="models")
        site.define(
            "models/dear.sql",
            MODELS["dear"].replace("SELECT thing, colour FROM", "SELECT thing, colour, place FROM"),
        )
        site.send(1, "rug,blue,4")
        site.haul(1)

        done = site.build(0)

        assert done.counts["models"]["dear"]["outcome"] == "unchanged"
        assert database.rows("SELECT * FROM shop.dear ORDER BY 1") == [("lamp", "red", 1), ("rug", "blue", 1)]
        assert site.violations() == []

    def test_a_model_that_could_not_work_is_mended_and_the_run_takes_it_up(self, site, database):
        site.define("models/things.sql", MODELS["things"].replace("r.colour", "r.color"))
        site.send(0, "lamp,red,4")
        with pytest.raises(DefinitionError, match=r"PostgreSQL refuses it: column r\.color does not exist"):
            site.haul(0)
        site.define("models/things.sql", MODELS["things"])

        site.haul(0)

        assert site.things() == [("lamp", "red", Decimal(4))]
        assert database.rows("SELECT reason FROM haulier.generation ORDER BY generation") == [
            ("first delivery",),
            ("definition changed before it was loaded",),
        ]
        assert site.violations() == []

    @pytest.mark.parametrize("model", ["dear", "colours"])
    def test_a_definition_that_comes_back_is_the_newest_again(self, site, database, model):
        """Run 1, of the definition in between, comes after run 2, which found what run 0 had made."""
        first = MODELS[model]
        other = first.replace("place = 1", "place = 2").replace("GROUP BY", "WHERE thing = 'chair' GROUP BY")
        for number in (0, 1, 2):
            site.define(f"models/{model}.sql", other if number == 1 else first)
            site.send(number, "lamp,red,4", f"skip,red,{number}")
            site.haul(number, before="models" if number == 1 else "")

        done = site.build(1)

        assert done.counts["models"][model]["outcome"] == "unchanged"
        assert database.rows("SELECT * FROM shop.colours") == [("red", 1, Decimal(4))]
        assert database.rows("SELECT * FROM shop.dear") == [("lamp", "red")]
        assert site.violations() == []

    def test_a_view_that_somebody_dropped_is_made_by_any_run_and_the_newest_definition_takes_it_back(
        self, site, database
    ):
        site.send(0, "lamp,red,4")
        site.haul(0, before="models")
        newest = MODELS["dear"].replace("SELECT thing, colour FROM", "SELECT thing, colour, place FROM")
        site.define("models/dear.sql", newest)
        site.send(1, "rug,blue,4")
        site.haul(1)
        database.rows("DROP VIEW shop.dear")
        site.build(0)
        assert database.rows("SELECT * FROM shop.dear ORDER BY 1") == [("lamp", "red"), ("rug", "blue")]

        site.send(2, "vase,green,4")
        site.haul(2)

        assert database.rows("SELECT * FROM shop.dear ORDER BY 1") == [
            ("lamp", "red", 1),
            ("rug", "blue", 1),
            ("vase", "green", 1),
        ]


class TestTargets:
    """A merge's table is kept as load keeps its own."""

    def parted(self, site):
        listed = THINGS.replace(
            "- name: colour\n",
            "- name: colour\n        partitioned: true\n        primaryKey: true\n        primaryKeyPosition: 2\n",
        )
        more = """\
    customProperties:
      - {property: partitions, value: {colour: list}}
      - {property: indexes, value: [{columns: [price], using: brin}]}
"""
        site.define("contracts/things.odcs.yaml", listed + more)

    def test_partitions_and_indexes_are_made_as_its_contract_says(self, site, database):
        self.parted(site)
        site.send(0, "lamp,red,4", "rug,blue,1")
        site.haul(0)
        site.send(1, "chair,green,2", "lamp,red,5")

        site.haul(1)

        parts = "SELECT tableoid::regclass::text, thing, price FROM shop.things ORDER BY 1"
        assert database.rows(parts) == [
            ("shop.things_blue", "rug", Decimal(1)),
            ("shop.things_green", "chair", Decimal(2)),
            ("shop.things_red", "lamp", Decimal(5)),
        ]
        assert database.rows(
            "SELECT kind, count(*) FROM haulier.schema_change WHERE target = 'shop.things' GROUP BY 1 ORDER BY 1"
        ) == [("add index", 1), ("add partition", 3), ("create", 1)]
        assert site.violations() == []

    def test_a_plan_shows_them(self, site, database):
        self.parted(site)
        site.send(0, "lamp,red,4")

        code, said = commanded(site, "plan", *RUN, *DAY)

        assert code == 0, said
        assert "things_red" in said
        assert "USING brin" in said
        assert database.rows("SELECT to_regclass('shop.things_red')") == [(None,)]

    def test_a_quarantined_run_makes_none(self, site, database):
        self.parted(site)
        site.send(0, "lamp,red,4", "rug,mauve,1", "chair,mauve,1")

        assert site.haul(0)["models"].outcome == "quarantined"

        assert database.rows("SELECT to_regclass('shop.things_red')") == [(None,)]
        assert site.violations() == []

    def test_rows_the_table_has_no_place_for_are_rejected_where_the_definition_says_so(self, site, database):
        site.send(0, "lamp,red,4")
        site.haul(0)
        site.define("contracts/things.odcs.yaml", THINGS.replace("numeric(8,2)", "numeric(10,2)"))
        pipeline = (site.folder / "pipelines/things.yaml").read_text()
        strict = pipeline.replace("reject_threshold: 0.5", "reject_threshold: 0.5, drift: {widened: reject}")
        assert strict != pipeline
        site.define("pipelines/things.yaml", strict)
        site.send(1, "rug,red,12345678", "chair,blue,2")

        site.haul(1)

        assert [name for name, *_ in site.things()] == ["chair", "lamp"]
        assert database.rows("SELECT row_number, rule FROM haulier.open_reject") == [(2, "too-wide")]
        assert site.violations() == []


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
