"""SQL models: what a run's raw rows become in PostgreSQL, once, in one transaction, with an account."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import closing
from decimal import Decimal

import pytest
from support.elt import MODELS, PIPELINE, RAW, THINGS, Site
from support.steps import haul
from support.things import day

from haulier.errors import DataError, DefinitionError, FencedError, TransientError
from haulier.ledger.connection import connect
from haulier.ledger.reservations import request_replays


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


class TestRejects:
    @pytest.mark.parametrize(
        ("row", "rule", "says"),
        [
            ("lamp,red,cheap", "type", "price is not a number such as 4.20"),
            ("lamp,red,4.205", "type", "with at most 2 decimals"),
            ("lamp,red,12345678", "type", "price is not"),
            ("lamp,red,NaN", "type", "price is not"),
            ("lamp,red,0x1F", "type", "price is not"),
            ("lamp,red,-1", "minimum", "price is less than 0"),
            ("lamp,red,", "required", "price has no value"),
            ("lamp,mauve,4", "enum", 'colour is not one of "red", "green", "blue"'),
            (",red,4", "required", "thing has no value"),
            ("cursed,red,4", "model", "nobody wants it"),
        ],
    )
    def test_a_row_that_breaks_the_contract_is_found_by_its_file_and_row(
        self, site, database, row, rule, says
    ):
        site.send(0, "rug,red,4.200", row, "chair,red,+0.5")

        site.haul(0)

        assert [name for name, *_ in site.things()] == ["chair", "rug"]
        ((target, file, number, found, message, verbatim),) = database.rows(
            "SELECT target, logical_name, row_number, rule, message, convert_from(verbatim, 'UTF8') FROM haulier.open_reject"
        )
        assert (target, file, number, found) == ("shop.things", "a_2026-01-05.csv", 3, rule)
        assert says in message
        assert verbatim == row
        assert site.violations() == []

    def test_a_key_with_two_values_in_one_file_rejects_both(self, site, database):
        site.send(0, "lamp,red,4", "lamp,blue,4", "rug,red,1", "chair,red,1")

        site.haul(0)

        assert [name for name, *_ in site.things()] == ["chair", "rug"]
        assert database.rows("SELECT row_number, rule FROM haulier.reject ORDER BY 1") == [
            (2, "key-conflict"),
            (3, "key-conflict"),
        ]
        assert site.violations() == []

    def test_of_several_outputs_of_one_row_one_may_be_rejected(self, site, database):
        site.define(
            "models/things.sql",
            MODELS["things"]
            .replace("r.thing, lower(r.colour) AS colour", "r.thing || v.suffix AS thing, v.colour")
            .replace(
                "FROM shop.things_raw r",
                "FROM shop.things_raw r CROSS JOIN LATERAL (VALUES ('1', r.colour), ('2', 'mauve')) AS v (suffix, colour)",
            ),
        )
        site.send(0, "lamp,red,4")

        site.haul(0)

        assert [name for name, *_ in site.things()] == ["lamp1"]
        assert database.rows("SELECT row_number, output FROM haulier.reject") == [(2, 1)]
        assert site.violations() == []

    @pytest.mark.parametrize("left", ["", "models: [other]\n"])
    def test_rejects_of_a_model_that_the_pipeline_has_no_more_are_closed_by_its_next_run(
        self, site, database, left
    ):
        site.send(0, "rug,mauve,1", "vase,blue,2")
        site.haul(0)
        site.define("models/other.sql", MODELS["things"].replace("things.odcs", "others.odcs"))
        site.define("contracts/others.odcs.yaml", THINGS.replace("things", "others"))
        site.define("pipelines/things.yaml", PIPELINE.replace("models: [dear, things, colours]\n", left))
        site.send(1, "lamp,red,4", instance="b")

        site.haul(1, instance="b")

        assert database.rows("SELECT status, message FROM haulier.reject_event") == [
            ("regenerated", "no model of the pipeline makes shop.things any more")
        ]
        assert database.rows("SELECT count(*) FROM haulier.open_reject") == [(0,)]
        assert site.violations() == []

    def test_a_late_run_without_a_model_leaves_the_rejects_of_one_that_is_there_again(self, site, database):
        site.define("pipelines/things.yaml", PIPELINE.replace("models: [dear, things, colours]\n", ""))
        site.send(0, "lamp,red,4")
        site.haul(0, before="load")
        site.define("pipelines/things.yaml", PIPELINE)
        site.send(1, "rug,mauve,1", "vase,blue,2")
        site.haul(1)

        site.load(0)

        assert database.rows("SELECT count(*) FROM haulier.open_reject") == [(1,)]
        assert site.violations() == []

    def test_a_flagged_row_enters_with_its_reason(self, site, database):
        site.send(0, "odd,red,4")

        site.haul(0)

        assert site.things() == [("odd", "red", Decimal(4))]
        assert database.rows("SELECT row_number, rule, message FROM haulier.flag") == [
            (2, "model", "look at it")
        ]

    def test_no_single_row_is_replayed_since_a_model_may_count_them_all(self, site, database):
        site.send(0, "lamp,red,4,too many", "rug,mauve,1", "vase,blue,2")
        site.haul(0)

        with connect(site.settings, "test") as connection:
            asked = request_replays(
                connection, site.settings, "things", "a", reason="again", definition_digest="d"
            )
        assert asked == []
        code, said = commanded(site, "replay", *RUN, "--reason", "again")
        assert code == 2
        assert "run --pipeline things --instance a … --reprocess REASON" in " ".join(said.split())
        for reject_id, *_ in database.rows("SELECT reject_id FROM haulier.reject"):
            shown = commanded(site, "rejects", "show", str(reject_id))[1]
            assert "--reprocess REASON" in shown
            assert "replay --" not in shown

    def test_a_mended_raw_row_goes_through_the_models_with_its_run(self, site, database):
        strict = RAW.replace(
            "colour, logicalType: string", "colour, logicalType: string, enum: [{value: red}]"
        )
        site.define("contracts/raw.odcs.yaml", strict)
        site.send(0, "lamp,blue,4", "rug,red,1", "vase,red,2")
        site.haul(0)
        site.define("contracts/raw.odcs.yaml", RAW)
        site.haul(0, reprocess="blue is a colour")

        assert site.things()[0] == ("lamp", "blue", Decimal(4))
        assert database.rows("SELECT things FROM shop.colours ORDER BY things") == [(1,), (2,)]
        assert site.violations() == []


class TestQuarantine:
    def test_too_many_rejects_of_a_model_keep_every_model_from_changing_anything(self, site, database):
        site.send(0, "rug,red,1")
        site.haul(0)
        site.send(1, "lamp,mauve,4", "chair,mauve,4", "bed,red,9")

        done = site.haul(1)["models"]

        assert (done.outcome, done.exit_code) == ("quarantined", 65)
        assert [name for name, *_ in site.things()] == ["rug"]
        assert database.rows("SELECT things FROM shop.colours") == [(1,)]
        assert database.rows(
            "SELECT produced, rejected, held FROM haulier.load WHERE outcome = 'quarantined'"
        ) == [(3, 2, 1)]
        assert database.rows("SELECT status FROM haulier.run ORDER BY run_id") == [
            ("loaded",),
            ("quarantined",),
        ]
        assert site.violations() == []

    def test_asked_again_it_says_so_again_and_changes_nothing(self, site, database):
        site.send(0, "lamp,mauve,4")
        site.haul(0)
        before = database.rows("haulier.load"), database.rows("haulier.reject")

        again = site.build(0)

        assert (again.outcome, again.exit_code) == ("quarantined", 65)
        with pytest.raises(DataError, match="already quarantined"):
            site.haul(0)
        assert (database.rows("haulier.load"), database.rows("haulier.reject")) == before

    def test_a_changed_contract_lets_the_run_in(self, site):
        site.send(0, "lamp,mauve,4")
        site.haul(0)
        site.define(
            "contracts/things.odcs.yaml", THINGS.replace("{value: red}", "{value: red}, {value: mauve}")
        )

        site.haul(0)

        assert site.things() == [("lamp", "mauve", Decimal(4))]
        assert site.violations() == []


class TestWhole:
    def test_a_model_that_fails_leaves_nothing_of_the_others(self, site, database):
        site.define("models/colours.sql", MODELS["colours"].replace("sum(price)", "sum(1 / (price - price))"))
        site.send(0, "lamp,red,4")

        with pytest.raises(DataError, match="a value made its SQL fail"):
            site.haul(0)

        assert site.things() == []
        assert database.rows("SELECT count(*) FROM haulier.model_build") == [(0,)]
        assert database.rows("SELECT kind FROM haulier.load") == [("run",)]
        assert database.rows("SELECT status FROM haulier.run") == [("open",)]

    def test_mended_it_goes_on_where_it_stood(self, site, database):
        self.test_a_model_that_fails_leaves_nothing_of_the_others(site, database)
        site.define("models/colours.sql", MODELS["colours"])

        site.haul(0)

        assert site.things() == [("lamp", "red", Decimal(4))]
        assert database.rows("SELECT count(*) FROM shop.things_raw") == [(1,)]
        assert site.violations() == []

    def test_no_cell_stands_in_what_a_failing_model_says(self, site):
        site.define("models/things.sql", MODELS["things"].replace("r.price,", "r.price::numeric AS price,"))
        site.send(0, "lamp,red,secret")

        with pytest.raises(DataError) as caught:
            site.haul(0)

        assert "secret" not in str(caught.value)

    def test_no_cell_stands_in_what_a_function_raises(self, site, database):
        database.rows(
            "CREATE FUNCTION public.loud(said text) RETURNS text LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE EXCEPTION 'not %', said; END $$"
        )
        site.define(
            "models/things.sql", MODELS["things"].replace("r.price,", "public.loud(r.price) AS price,")
        )
        site.send(0, "lamp,red,secret")

        with pytest.raises(DataError, match="a function it calls raised an error") as caught:
            site.haul(0)

        assert "secret" not in str(caught.value)

    def test_raw_rows_that_went_away_are_not_left_out_in_silence(self, site, database):
        database.rows("CREATE SCHEMA shop; CREATE TABLE shop.dear (thing text)")
        site.send(0, "lamp,red,4", "rug,blue,1")
        with pytest.raises(DefinitionError):
            site.haul(0)
        database.rows("DELETE FROM shop.things_raw WHERE thing = 'rug'; DROP TABLE shop.dear")

        with pytest.raises(DataError, match=r"brought 2 rows into shop\.things_raw and 1 of them are there"):
            site.haul(0)

        assert site.things() == []

    def test_a_reader_of_a_view_is_not_waited_for_long(self, site, database):
        site.send(0, "lamp,red,4")
        site.haul(0)
        site.define("models/dear.sql", MODELS["dear"].replace("place = 1", "place < 3"))
        site.send(1, "rug,red,1")
        with closing(database.connect()) as reader:
            reader.cursor().execute("SELECT * FROM shop.dear")
            with pytest.raises(TransientError):
                site.haul(1)

        assert site.haul(1)["models"].outcome == "loaded"
        assert database.rows("SELECT thing FROM shop.dear ORDER BY 1") == [("lamp",), ("rug",)]

    def test_a_newer_attempt_fences_an_older_one(self, site, monkeypatch):
        from haulier_transform.models import step

        site.send(0, "lamp,red,4")
        acquire = step.acquire

        def overtaken(connection, task, manifest, **asked):
            mine = acquire(connection, task, manifest, **asked)
            site.database.rows("UPDATE haulier.run SET fence = nextval('haulier.fence')")
            return mine

        monkeypatch.setattr(step, "acquire", overtaken)
        with pytest.raises(FencedError):
            site.haul(0)

        assert site.things() == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("sql", "says"),
        [
            (
                "SELECT r.thing, r.colour, r._haulier_delivery, r._haulier_row FROM shop.things_raw r",
                "gives no column price",
            ),
            (
                "SELECT r.thing, r.colour, r.price FROM shop.things_raw r",
                "gives no column _haulier_delivery, _haulier_row",
            ),
            (
                "SELECT r.*, 1 AS prize FROM (SELECT thing, colour, price, _haulier_delivery, _haulier_row FROM shop.things_raw) r",
                'column prize, which its contract does not have; did you mean "price"',
            ),
            (
                "SELECT r.thing, r.colour, now() AS price, r._haulier_delivery, r._haulier_row FROM shop.things_raw r",
                "price is timestamp with time zone, the contract says numeric(8,2)",
            ),
            (
                "SELECT r.thing, r.colour, r.price, r._haulier_delivery, r._haulier_row + 1000 AS _haulier_row FROM shop.things_raw r",
                "name a source row",
            ),
            (
                "SELECT r.thing, r.colour, r.price, r._haulier_delivery, r._haulier_row, 0 AS _haulier_output"
                " FROM shop.things_raw r, generate_series(1, 2)",
                "gives one _haulier_output to several rows",
            ),
            (
                "SELECT r.thing, r.colour, r.price, r._haulier_delivery, r._haulier_row FROM shop.nothing r",
                'relation "shop.nothing" does not exist',
            ),
        ],
    )
    def test_a_model_that_does_not_fit_its_contract_is_refused(self, site, database, sql, says):
        site.define(
            "models/things.sql", "-- materialized: merge\n-- contract: ../contracts/things.odcs.yaml\n" + sql
        )
        site.send(0, "lamp,red,4")

        with pytest.raises(DefinitionError) as caught:
            site.haul(0)

        assert says in str(caught.value).replace("timestamptz", "timestamp with time zone")
        assert "models/things.sql" in str(caught.value)

    @pytest.mark.parametrize("kind", ["TABLE shop.dear (thing text)", "VIEW shop.dear AS SELECT 1 AS one"])
    def test_what_somebody_else_made_is_never_taken(self, site, database, kind):
        database.rows(f"CREATE SCHEMA shop; CREATE {kind}")
        site.send(0, "lamp,red,4")

        with pytest.raises(DefinitionError, match=r"shop.dear is there and no view of Haulier's"):
            site.haul(0)

    def test_what_another_pipeline_makes_is_never_taken(self, site, database):
        site.send(0, "lamp,red,4")
        site.haul(0)
        raw = RAW.replace("things-raw", "others-raw").replace("things_raw", "others_raw")
        site.define("contracts/others.odcs.yaml", raw)
        other = PIPELINE.replace("pipeline: things", "pipeline: others").replace("raw.odcs", "others.odcs")
        site.define("pipelines/others.yaml", other.replace("[dear, things, colours]", "[dear]"))

        with pytest.raises(DefinitionError, match=r"pipeline things makes shop\.dear"):
            haul(site.settings, "others", "a", day(0))

    def test_a_table_that_would_get_other_columns_is_left_alone(self, site, database):
        site.send(0, "lamp,red,4")
        site.haul(0)
        site.define(
            "models/colours.sql", MODELS["colours"].replace("count(*) AS things", "count(*)::text AS things")
        )
        site.send(1, "rug,red,4")

        with pytest.raises(DefinitionError, match="nothing is dropped here"):
            site.haul(1)

        assert database.rows("SELECT things FROM shop.colours") == [(1,)]

    def test_a_table_model_without_rows_empties_nothing(self, site, database):
        site.send(0, "lamp,red,4")
        site.haul(0)
        site.define("models/colours.sql", MODELS["colours"].replace("GROUP BY", "WHERE false GROUP BY"))
        site.send(1, "rug,red,4")

        site.haul(1)

        assert database.rows("SELECT things FROM shop.colours") == [(1,)]


def commanded(site, *words):
    """`haulier …` as a person asks it: (exit code, what it says)."""
    done = subprocess.run(
        [sys.executable, "-m", "haulier_command", *words],
        env={**os.environ, **site.environment, "HAULIER_HOME": str(site.folder / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


RUN = ("--pipeline", "things", "--instance", "a")
DAY = ("--interval-start", "2026-01-05T00:00:00Z", "--interval-end", "2026-01-06T00:00:00Z")


class TestCommand:
    def test_a_plan_says_what_hauling_a_run_anew_would_do_that_is_done_or_quarantined(self, site, database):
        site.send(0, "lamp,mauve,4", "rug,red,1", "vase,red,1")
        site.haul(0)
        site.send(1, "bed,mauve,4")
        assert site.haul(1)["models"].outcome == "quarantined"
        done = json.loads(commanded(site, "plan", *RUN, *DAY, "--output", "json")[1])
        assert list(done["steps"]) == ["extract"]
        assert "--reprocess REASON" in commanded(site, "plan", *RUN, *DAY)[1]
        before = database.rows("haulier.generation"), database.rows("haulier.load")
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
        next_day = ("--interval-start", DAY[3], "--interval-end", "2026-01-07T00:00:00Z")
        assert commanded(site, "plan", *RUN, *next_day)[0] == 65
        assert commanded(site, "plan", *RUN, *next_day, "--reprocess", "mauve is a colour")[0] == 0
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
