"""Every kind of drift at both ends under every policy, from a file to the table, as docs/landing.md has them.

A view, a grant and a reader are there before each case and are the same after it.
"""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.drifting import COLUMNS, reading, typed, used

from haulier.errors import DataError, DefinitionError

KINDS = ("new_column", "missing_column", "renamed", "widened", "narrowed", "retyped")


@pytest.fixture
def site(database, tmp_path):
    with used(database, tmp_path) as made:
        yield made


#: Kind -> a later file that drifts so.
FILES = {
    "new_column": ["thing,colour,size,device", "x,red,3,D1", "y,red,4,"],
    "missing_column": ["thing,colour", "x,red", "y,red"],
    "renamed": ["thing,colour,size_cm", "x,red,3", "y,red,"],
    "widened": typed(pa.int64(), 3, 3_000_000_000),
    "narrowed": typed(pa.int16(), 3, 4),
    "retyped": typed(pa.string(), "3", "big"),
}


class TestHeader:
    """A file that has a header and no row."""

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (["thing,colour,size,device"], "new column device in {}: not in the contract, not loaded"),
            (["thing,colour"], "column size is missing from the header of {}"),
            (["a,b", "x"], "no column in {} is in the contract; has it a header?"),
        ],
        ids=["more", "less", "every row rejected"],
    )
    def test_is_looked_at(self, site, lines, said):
        notes = site.send(1, lines)["transform"].notes

        assert said.format("things_2026-01-06.csv") in notes
        assert site.rows("thing") == [("old",)]

    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            ("new_column", ["thing,colour,size,device"]),
            ("missing_column", ["thing,colour"]),
            ("renamed", ["thing,colour,size_cm"]),
            ("renamed", typed(pa.int32(), 3, 4)[:0].rename_columns(["thing", "colour", "size_cm"])),
        ],
        ids=["more", "less", "otherwise", "Parquet"],
    )
    def test_is_stopped_at(self, site, kind, content):
        site.transform = {"drift": {kind: "stop"}}
        if isinstance(content, pa.Table):
            site.source = {"parquet": {}}
        with pytest.raises(DataError, match=f"things_2026-01-06.*transform.drift.{kind} is stop"):
            site.send(1, content)

        site.transform = {}
        site.haul(1)
        assert site.rows("thing") == [("old",)]

    def test_has_no_types_that_mean_something(self, site):
        site.transform, site.source = {"drift": {"retyped": "stop"}}, {"parquet": {}}

        assert site.send(1, typed(pa.string(), "3", "4")[:0])["load"].outcome == "loaded"

    def test_of_a_file_without_one_nothing_is_asked(self, site):
        site.transform = {"drift": {"missing_column": "stop"}}

        notes = site.send(1, [])["extract"].notes

        assert any("is empty: it has no header" in note for note in notes)

    def test_is_looked_at_beside_rows_of_another_file_and_under_a_pivot(self, site):
        site.source = {"files": {"path": "things_{date:%Y-%m-%d}*.csv", "select": "name"}}
        pivot = {"by": ["thing"], "names_from": "name", "values_from": "value", "pattern": "(?P<item>.+)"}
        site.transform = {"pivot": {**pivot, "items": {"colour": "colour", "size": "size"}}}
        (site.folder / "landing" / "things_2026-01-06_more.csv").write_text("thing,name,value,unit\n")

        notes = site.send(1, ["thing,name,value", "x,colour,red", "x,size,3"])["transform"].notes

        assert (
            "column unit in things_2026-01-06_more.csv: transform.pivot does not read it, not loaded" in notes
        )
        assert site.rows("thing, colour, size") == [("old", "red", 1), ("x", "red", 3)]


class TestFile:
    """The file against the contract: `transform.drift`."""

    def send(self, site, kind, policy):
        site.transform = {"drift": {kind: policy}}
        if isinstance(FILES[kind], pa.Table):
            site.source = {"parquet": {}}
        with reading(site):
            return site.send(1, FILES[kind])

    @pytest.mark.parametrize("kind", ["new_column", "missing_column"])
    def test_note(self, site, kind):
        notes = self.send(site, kind, "note")["transform"].notes

        said = {
            "new_column": "new column device in things_2026-01-06.csv: not in the contract, not loaded",
            "missing_column": "column size is missing from the header of things_2026-01-06.csv",
        }
        assert said[kind] in notes
        sizes = {"new_column": (3, 4), "missing_column": (None, None)}[kind]
        assert site.rows("thing, size", "thing <> 'old'") == list(zip("xy", sizes, strict=True))
        assert (site.rejects(), site.changes()) == ([], [])

    @pytest.mark.parametrize("kind", ["renamed", "narrowed"])
    def test_evolve(self, site, kind):
        self.send(site, kind, "evolve")

        sizes = {"renamed": (3, None), "narrowed": (3, 4)}[kind]
        assert site.rows("thing, size", "thing <> 'old'") == list(zip("xy", sizes, strict=True))
        assert (site.rejects(), site.changes()) == ([], [])

    @pytest.mark.parametrize("kind", ["new_column"])
    def test_keep(self, site, kind):
        site.transform = {"drift": {kind: "keep"}}
        site.send(1, FILES[kind])

        assert site.rows("thing, size, _extra") == [
            ("old", 1, None),
            ("x", 3, {"device": "D1"}),
            ("y", 4, None),
        ]
        ((what, before, after, ddl, run),) = site.changes()
        assert (what, before, after, run) == ("add column", {"_extra": None}, {"_extra": "jsonb"}, 2)
        assert ddl.startswith('ALTER TABLE "shop"."things" ADD COLUMN "_extra" jsonb; COMMENT ON COLUMN')
        assert site.rejects() == []

    @pytest.mark.parametrize("kind", ["new_column", "missing_column", "renamed", "widened", "retyped"])
    def test_reject(self, site, kind):
        self.send(site, kind, "reject")

        rejected = {
            "new_column": [("new-column", "device", "x,red,3,D1")],
            "missing_column": [("missing-column", "size", "x,red"), ("missing-column", "size", "y,red")],
            "renamed": [("renamed-column", "size", "x,red,3")],
            "widened": [("range", "size", '{"thing":"y","colour":"red","size":3000000000}')],
            "retyped": [("type", "size", '{"thing":"y","colour":"red","size":"big"}')],
        }
        assert site.rejects() == rejected[kind]
        assert len(site.rows("thing", "thing <> 'old'")) == 2 - len(rejected[kind])
        assert site.changes() == []

        self.mend(site, kind)
        site.replay()

        assert site.rejects() == []
        sizes = {"missing_column": (None, None), "renamed": (3, None), "widened": (3, 3_000_000_000)}
        last = (3, None) if kind == "retyped" else (3, 4)
        assert site.rows("thing, size", "thing <> 'old'") == list(
            zip("xy", sizes.get(kind, last), strict=True)
        )

    def mend(self, site, kind):
        """What the rejects' messages say to do."""
        if kind == "new_column":
            site.columns["device"] = {"logicalType": "string"}
            site.drift = {"new_column": "evolve"}
        elif kind == "missing_column":
            site.transform = {}
        elif kind == "renamed":
            site.transform["columns"] = {"size_cm": "size"}
        elif kind == "widened":
            site.columns["size"]["physicalType"] = "bigint"
            site.drift = {"widened": "evolve"}
        else:
            site.transform["null_values"] = ["big"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_stop(self, site, kind):
        with pytest.raises(DataError) as stopped:
            self.send(site, kind, "stop")

        assert (stopped.value.exit_code, site.rows("thing")) == (65, [("old",)])
        assert str(stopped.value).startswith("things_2026-01-06.")
        assert f"transform.drift.{kind} is stop" in str(stopped.value)
        said = {
            "new_column": """column 'device' is not in contract things 1.0.0; add it there""",
            "missing_column": "it has no column size, which contract things 1.0.0 has; ask for it",
            "renamed": "column size is called 'size_cm'; say so in transform.columns",
            "widened": "column 'size' is int64 there, which holds more than integer",
            "narrowed": "column 'size' is int16 there, which holds less than integer",
            "retyped": "column 'size' is string there, which is another type than integer",
        }
        assert said[kind] in str(stopped.value)

        site.transform = {}
        site.haul(1)

        entered = {"widened": 1, "retyped": 1}.get(kind, 2)
        assert len(site.rows("thing", "thing <> 'old'")) == entered
        assert len(site.rejects()) == 2 - entered

    @pytest.mark.parametrize(
        ("kind", "policy"),
        [
            *((kind, "evolve") for kind in ("new_column", "missing_column", "widened", "retyped")),
            *((kind, "keep") for kind in KINDS[1:]),
            ("narrowed", "reject"),
        ],
    )
    def test_refused(self, site, kind, policy):
        with pytest.raises(
            DefinitionError, match=rf'transform\.drift\.{kind}: "{policy}" makes no sense here: .*; use "'
        ):
            self.send(site, kind, policy)
        assert (site.rows("thing"), site.changes()) == ([("old",)], [])


#: Kind -> a file for a later contract that the table is not yet.
LATER_FILES = {
    "new_column": ["thing,colour,size,weight", "x,red,3,7", "y,red,4,"],
    "missing_column": ["thing,size", "x,3", "y,4"],
    "renamed": ["thing,hue,size", "x,blue,3", "y,,4"],
    "widened": ["thing,colour,size", "x,red,3000000000", "y,red,4"],
    "narrowed": ["thing,colour,size", "x,red,3", "y,red,4"],
    "retyped": ["thing,colour,size", "x,red,3", "y,red,4"],
}


class TestTable:
    """The table against the contract: `load.drift`."""

    def send(self, site, kind, policy):
        """A later contract, and the first file that keeps it."""
        if kind == "new_column":
            site.columns["weight"] = {"logicalType": "integer", "physicalType": "integer"}
        elif kind == "missing_column":
            del site.columns["colour"]
        elif kind == "renamed":
            del site.columns["colour"]
            site.columns["hue"] = {"logicalType": "string", "synonyms": [{"synonym": "Colour"}]}
        else:
            size = {"widened": "bigint", "narrowed": "smallint", "retyped": "text"}[kind]
            kept = {"logicalType": "string" if size == "text" else "integer"}
            site.columns["size"] = {"physicalType": size, **kept}
        site.drift = {kind: policy}
        if policy == "evolve" and kind in ("new_column", "renamed", "widened"):
            return site.send(1, LATER_FILES[kind])
        with reading(site):
            return site.send(1, LATER_FILES[kind])

    @pytest.mark.parametrize("kind", ["new_column", "missing_column", "renamed", "widened", "narrowed"])
    def test_evolve(self, site, kind):
        self.send(site, kind, "evolve")

        rows = {
            "new_column": ("weight", [("old", None), ("x", 7), ("y", None)]),
            "missing_column": ("colour", [("old", "red"), ("x", None), ("y", None)]),
            "renamed": ("colour, hue", [("old", "red", None), ("x", None, "blue"), ("y", None, None)]),
            "widened": ("size", [("old", 1), ("x", 3_000_000_000), ("y", 4)]),
            "narrowed": ("size", [("old", 1), ("x", 3), ("y", 4)]),
        }
        changes = {
            "new_column": [
                ("add column", {"weight": None}, {"weight": "integer"}, 'ALTER TABLE "shop"."things" ADD COLUMN "weight" integer;', 2)
            ],
            "renamed": [
                ("add column", {"hue": None}, {"hue": "text"}, 'ALTER TABLE "shop"."things" ADD COLUMN "hue" text;', 2)
            ],
            "widened": [
                ("widen column", {"size": "integer"}, {"size": "bigint"},
                 'ALTER TABLE "shop"."things" ALTER COLUMN "size" TYPE bigint;', 2)
            ],
        }  # fmt: skip
        columns, expected = rows[kind]
        assert site.rows(f"thing, {columns}") == expected
        assert (site.rejects(), site.changes()) == ([], changes.get(kind, []))

    @pytest.mark.parametrize("kind", ["new_column", "renamed", "widened"])
    def test_reject(self, site, kind):
        loaded = self.send(site, kind, "reject")["load"]

        rejected = {
            "new_column": ("new-column", "weight", "x,red,3,7"),
            "renamed": ("renamed-column", "hue", "x,blue,3"),
            "widened": ("too-wide", "size", "x,red,3000000000"),
        }
        assert (loaded.counts["inserted"], loaded.counts["rejected"]) == (1, 1)
        assert site.rejects() == [rejected[kind]]
        assert site.rows("thing, size") == [("old", 1), ("y", 4)]
        assert site.changes() == []

        site.drift = {kind: "evolve"}
        site.replay()

        column = {"new_column": "weight", "renamed": "hue", "widened": "size"}[kind]
        value = {"new_column": 7, "renamed": "blue", "widened": 3_000_000_000}[kind]
        assert (site.rejects(), site.rows(f"thing, {column}", "thing = 'x'")) == ([], [("x", value)])

    @pytest.mark.parametrize("kind", KINDS)
    def test_stop(self, site, kind):
        with pytest.raises(DefinitionError) as stopped:
            self.send(site, kind, "stop")

        said = {
            "new_column": 'it has no column weight; add it: ALTER TABLE shop.things ADD COLUMN "weight" integer',
            "missing_column": "it has a column colour (varchar(5)) more; add it to the contract",
            "renamed": 'ALTER TABLE shop.things RENAME COLUMN "colour" TO "hue"',
            "widened": 'ALTER TABLE shop.things ALTER COLUMN "size" TYPE bigint',
            "narrowed": "column size is integer, the contract says smallint; write integer there",
            "retyped": "column size is integer, the contract says text; convert the column by hand",
        }
        message = str(stopped.value)
        assert (stopped.value.exit_code, site.rows("thing")) == (2, [("old",)])
        assert said[kind] in message

        if "ALTER TABLE" in message:
            # The statement that it names is all that is missing; text is what it now is, too.
            site.alter(message[message.index("ALTER TABLE") :])
            if kind == "renamed":
                site.alter("ALTER TABLE shop.things ALTER COLUMN hue TYPE text")
        elif kind == "missing_column":
            site.columns["colour"] = COLUMNS["colour"]
        else:
            site.columns["size"] = COLUMNS["size"]
        site.haul(1)

        assert (len(site.rows("thing")), site.rejects()) == (3, [])

    @pytest.mark.parametrize(
        ("kind", "policy"),
        [
            *((kind, "keep") for kind in KINDS),
            ("missing_column", "reject"),
            ("narrowed", "reject"),
            ("retyped", "evolve"),
            ("retyped", "reject"),
        ],
    )
    def test_refused(self, site, kind, policy):
        with pytest.raises(
            DefinitionError, match=rf'load\.drift\.{kind}: "{policy}" makes no sense here: .*; use "'
        ):
            self.send(site, kind, policy)
        assert (site.rows("thing"), site.changes()) == ([("old",)], [])
