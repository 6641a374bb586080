"""The tables that models merge into: kept as load keeps its own."""

from __future__ import annotations

from decimal import Decimal

import pytest
from support.elt import DAY, RUN, THINGS, Site, commanded


@pytest.fixture
def site(database, tmp_path):
    return Site.made(database, tmp_path)


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
