"""Models that fail or are refused: nothing of their run is left, and what others made is never taken."""

from __future__ import annotations

from contextlib import closing
from decimal import Decimal

import pytest
from support.elt import MODELS, PIPELINE, RAW, Site
from support.steps import haul
from support.things import day

from haulier.errors import DataError, DefinitionError, FencedError, TransientError


@pytest.fixture
def site(database, tmp_path):
    return Site.made(database, tmp_path)


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
