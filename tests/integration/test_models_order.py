"""SQL models of runs that come late, are made again, or are of another definition."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.elt import MODELS, THINGS, Site

from haulier.errors import DefinitionError


@pytest.fixture
def site(database, tmp_path):
    return Site.made(database, tmp_path)


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
