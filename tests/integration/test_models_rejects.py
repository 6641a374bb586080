"""What a model rejects, flags and quarantines, by its row's file and line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.elt import MODELS, PIPELINE, RAW, RUN, THINGS, Site, commanded

from haulier.errors import DataError
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays


@pytest.fixture
def site(database, tmp_path):
    return Site.made(database, tmp_path)


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
            asked = request_replays(connection, site.settings, "things", {"a": lambda _: "d"}, reason="again")
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
