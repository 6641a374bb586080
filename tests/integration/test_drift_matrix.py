"""Every kind of drift at both ends under every policy, from a file to the table, as docs/landing.md has them.

A view, a grant and a reader are there before each case and are the same after it.
"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from copy import deepcopy

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from support.steps import haul, haul_in_shards
from support.things import day

from haulier.digests import definition_digest
from haulier.errors import DataError, DefinitionError
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.reservations import request_replays
from haulier.ledger.verify import verify
from haulier.loading import load_pipeline, resolve
from haulier.settings import Settings

KINDS = ("new_column", "missing_column", "renamed", "widened", "narrowed", "retyped")
COLUMNS = {
    "thing": {"logicalType": "string", "primaryKey": True},
    "colour": {"logicalType": "string", "physicalType": "varchar(5)"},
    "size": {"logicalType": "integer", "physicalType": "integer", "synonyms": [{"synonym": "size_cm"}]},
}


class Site:
    """A pipeline of one table, the folder its files come to, and those who already use the table."""

    def __init__(self, database, folder):
        self.database, self.folder = database, folder
        self.columns, self.source, self.transform, self.drift = deepcopy(COLUMNS), {}, {}, {}
        self.more = {}
        (folder / "landing").mkdir()
        self.settings = Settings.from_env(
            {
                **database.environment,
                "HAULIER_EXCHANGE": f"file://{folder}/exchange",
                "HAULIER_DEFINITIONS": str(folder / "definitions"),
                "HAULIER_SOURCE_ROOT": str(folder / "landing"),
            }
        )

    def define(self):
        contract = {
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": "things", "version": "1.0.0",
            "schema": [{
                "name": "things", "physicalName": "shop.things",
                "properties": [{"name": name, **column} for name, column in self.columns.items()],
            }],
        }  # fmt: skip
        pipeline = {
            "pipeline": "things", "contract": "../contracts/things.odcs.yaml",
            "source": {"files": {"path": "things_{date:%Y-%m-%d}.*", "select": "name"}, **self.source},
            "transform": self.transform, "load": {"reject_threshold": 1, "drift": self.drift}, **self.more,
        }  # fmt: skip
        for kind, name, document in (
            ("contracts", "things.odcs.yaml", contract),
            ("pipelines", "things.yaml", pipeline),
        ):
            path = self.folder / "definitions" / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(document))

    def file(self, number, ending):
        return self.folder / "landing" / f"things_{day(number).start:%Y-%m-%d}.{ending}"

    def send(self, number, content):
        """A CSV of these lines, or a Parquet file of this table, hauled by its own definition."""
        if isinstance(content, pa.Table):
            pq.write_table(content, path := self.file(number, "parquet"))
        else:
            (path := self.file(number, "csv")).write_text("\n".join([*content, ""]))
        os.utime(path, (day(number).start.timestamp(),) * 2)
        return self.haul(number)

    def haul(self, number):
        self.define()
        return haul(self.settings, "things", "main", day(number))

    def replay(self):
        """Every reject that is open, by the definition as it now is."""
        self.define()
        definition, contract = resolve(load_pipeline(self.settings.definitions, "things"), "main")
        with connect(self.settings, "test") as connection:
            replays = request_replays(
                connection, self.settings, "things", "main", reason="seen",
                definition_digest=definition_digest(definition, contract),
            )  # fmt: skip
        for one in replays:
            haul(self.settings, "things", "main", one.interval, replay=one.replay_id)

    def rows(self, columns, what="1 = 1"):
        return self.database.rows(f"SELECT {columns} FROM shop.things WHERE {what} ORDER BY thing")

    def rejects(self):
        return self.database.rows(
            "SELECT rule, column_name, convert_from(verbatim, 'UTF8') FROM haulier.open_reject ORDER BY row_number"
        )

    def changes(self):
        return self.database.rows(
            "SELECT kind, before, after, ddl, run_id FROM haulier.schema_change WHERE kind <> 'create' ORDER BY change_id"
        )

    def alter(self, statement):
        self.database.rows(statement)


@pytest.fixture
def site(database, tmp_path):
    """A table that holds one row, and people who use it; nothing of theirs may change, and the ledger is clean."""
    made = Site(database, tmp_path)
    made.send(0, ["thing,colour,size", "old,red,1"])
    made.file(0, "csv").unlink()
    database.rows(
        "CREATE VIEW shop.seen AS SELECT thing FROM shop.things; GRANT SELECT (thing), UPDATE (thing) ON shop.things TO PUBLIC"
    )
    around = (
        "SELECT c.oid, c.relkind, pg_get_viewdef('shop.seen'), (SELECT attacl::text FROM pg_attribute WHERE attrelid = c.oid AND"
        " attname = 'thing'), (SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid AND contype ="
        " 'p') FROM pg_class c WHERE c.oid = 'shop.things'::regclass"
    )
    before = database.rows(around)
    with closing(database.connect()) as reader, reader.cursor() as cursor:
        # Alive through it all, without a lock: half fetched, and planned before the table changes.
        cursor.execute("DECLARE half CURSOR WITH HOLD FOR SELECT thing FROM shop.seen")
        cursor.execute("PREPARE again AS SELECT thing FROM shop.seen ORDER BY 1")
        reader.commit()
        yield made
        cursor.execute("FETCH ALL FROM half")
        assert cursor.fetchall() == [("old",)]
        cursor.execute("EXECUTE again")
        assert cursor.fetchall() == made.rows("thing")
    assert database.rows(around) == before
    with connect(made.settings, "test") as connection:
        assert verify(connection, made.settings, exchange=open_exchange(made.settings), deep=True) == []


@contextmanager
def reading(site):
    """Somebody reads the table in a transaction that stays open: nothing that needs no DDL waits for it."""
    with closing(site.database.connect()) as reader, reader, reader.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT thing FROM shop.things")
        yield
        cursor.execute("SELECT thing FROM shop.seen")
        assert cursor.fetchall() == [("old",)]


def typed(pg_type, *sizes):
    """A Parquet file whose column of sizes has this type."""
    return pa.table({"thing": ["x", "y"], "colour": ["red", "red"], "size": pa.array(sizes, pg_type)})


#: Kind -> a later file that drifts so.
FILES = {
    "new_column": ["thing,colour,size,device", "x,red,3,D1", "y,red,4,"],
    "missing_column": ["thing,colour", "x,red", "y,red"],
    "renamed": ["thing,colour,size_cm", "x,red,3", "y,red,"],
    "widened": typed(pa.int64(), 3, 3_000_000_000),
    "narrowed": typed(pa.int16(), 3, 4),
    "retyped": typed(pa.string(), "3", "big"),
}


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


class TestExtra:
    """The column `_extra`, from a file."""

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
