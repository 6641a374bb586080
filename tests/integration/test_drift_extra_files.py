"""The column `_extra`, from a file."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.drifting import typed, used
from support.steps import haul_in_shards
from support.things import day

from haulier.errors import DefinitionError
from haulier.settings import Settings


@pytest.fixture
def site(database, tmp_path):
    with used(database, tmp_path) as made:
        yield made


class TestExtra:
    def test_values_are_the_text_that_was_sent_under_the_names_that_were_sent(self, site):
        site.transform = {"drift": {"new_column": "keep"}, "null_values": ["-"]}
        site.send(
            1,
            [
                'thing,colour,size,Größe in "cm",note,note,x',
                'x,red,3,007,"a ""quoted"", \\text",B,-',
                'y,red,4,,"",,',
            ],
        )

        assert site.rows("thing, _extra", "thing <> 'old'") == [
            ("x", {'Größe in "cm"': "007", "note": 'a "quoted", \\text', "note#2": "B"}),
            ("y", {"note": ""}),
        ]

    def test_typed_values_are_kept_as_their_text(self, site):
        site.transform, site.source = {"drift": {"new_column": "keep"}}, {"parquet": {}}
        more = {
            "count": pa.array([12345678901234, None], pa.int64()),
            "share": pa.array([0.1, None], pa.float64()),
            "seen": pa.array([1_767_571_200_000_000, None], pa.timestamp("us", "UTC")),
            "tags": pa.array([["a", "b"], None], pa.list_(pa.string())),
        }
        table = typed(pa.int32(), 3, 4)
        site.send(1, pa.table({**{name: table[name] for name in table.column_names}, **more}))

        kept = {
            "count": "12345678901234",
            "share": "0.1",
            "seen": "2026-01-05 00:00:00Z",
            "tags": '["a","b"]',
        }
        assert site.rows("thing, _extra", "thing <> 'old'") == [("x", kept), ("y", None)]

    def test_a_run_in_shards_keeps_the_same(self, site):
        site.transform = {"drift": {"new_column": "keep"}}
        lines = ["thing,colour,size,device", *(f"t{n},red,{n},D{n}" for n in range(10, 60))]
        site.more = {"split": {"rows": 20}}
        site.settings = Settings.from_env(
            {
                **site.database.environment,
                "HAULIER_EXCHANGE": site.settings.exchange,
                "HAULIER_DEFINITIONS": str(site.settings.definitions),
                "HAULIER_SOURCE_ROOT": str(site.settings.source_root),
                "HAULIER_BATCH_ROWS": "10",
            }
        )
        site.file(1, "csv").write_text("\n".join([*lines, ""]))
        site.define()
        haul_in_shards(site.settings, "things", "main", day(1))

        assert site.rows("thing, _extra", "thing <> 'old'") == [
            (f"t{n}", {"device": f"D{n}"}) for n in range(10, 60)
        ]

    def test_a_column_that_the_contract_then_knows_leaves_it_as_rows_are_sent_again(self, site):
        site.transform = {"drift": {"new_column": "keep"}}
        site.send(1, ["thing,colour,size,device", "x,red,3,D1", "y,red,4,D2"])
        site.columns["device"] = {"logicalType": "string"}
        site.drift = {"new_column": "evolve"}
        updated = site.send(2, ["thing,colour,size,device", "x,red,3,D1"])["load"].counts["updated"]

        assert updated == 1
        assert site.rows("thing, device, _extra", "thing <> 'old'") == [
            ("x", "D1", None),
            ("y", None, {"device": "D2"}),
        ]

    def test_a_contract_that_has_such_a_column_cannot_keep(self, site):
        site.columns["_extra"] = {"logicalType": "string"}
        site.transform = {"drift": {"new_column": "keep"}}

        with pytest.raises(
            DefinitionError, match=r'transform\.drift\.new_column: "keep" fills the column _extra'
        ):
            site.haul(1)

    @pytest.mark.parametrize("kind", ["widened", "narrowed", "retyped"])
    def test_text_has_no_type_that_could_stop_a_run(self, site, kind):
        site.transform = {"drift": {kind: "stop"}}

        with pytest.raises(DefinitionError, match=rf"transform\.drift\.{kind}: .* source\.csv has no types"):
            site.haul(1)
