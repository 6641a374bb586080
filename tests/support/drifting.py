"""A table that is in use while the files that come to it and its contract drift."""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from copy import deepcopy

import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from support.ledger import findings
from support.steps import haul
from support.things import day

from haulier.digests import definition_digest
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays
from haulier.loading import load_pipeline, resolve
from haulier.settings import Settings

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
                connection, self.settings, "things", {"main": lambda _: definition_digest(definition, contract)}, reason="seen",
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


@contextmanager
def used(database, folder):
    """A table that holds one row, and people who use it; nothing of theirs may change, and the ledger is clean."""
    made = Site(database, folder)
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
    assert findings(made.settings) == []


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
