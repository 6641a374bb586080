"""What docs/landing.md says of every mode, from a file to the table."""

from __future__ import annotations

import os
from decimal import Decimal

import pytest
import yaml
from support import cells
from support.databases import fresh_database
from support.hauling import FATES, KEYED, Sender, deleting, settings_of
from support.steps import haul
from support.things import day

from haulier.errors import DataError
from haulier.exchange import open_exchange
from haulier.ledger.connection import connect
from haulier.ledger.replays import request_replays
from haulier.ledger.verify import verify
from haulier.settings import Settings
from haulier_load.step import load

KEY = [
    {"name": "site", "logicalType": "string", "primaryKey": True, "primaryKeyPosition": 1},
    {"name": "number", "logicalType": "integer", "primaryKey": True, "primaryKeyPosition": 2},
    {"name": "colour", "logicalType": "string", "required": True},
]
MARKER = {
    "name": "op",
    "logicalType": "string",
    "customProperties": [{"property": "deletes", "value": ["D"]}],
}
MARKED = {"customProperties": [{"property": "deletedAt", "value": "deleted_at"}]}
SINCE = {"name": "since", "logicalType": "date", "required": True}
VERSIONS = {
    "customProperties": [
        {"property": "ordering", "value": "since"},
        {"property": "validTo", "value": "valid_to"},
    ]
}
#: What one calls it -> mode, more columns, more of the table.
WAYS = {
    "append": ("append", [], {}),
    "upsert": ("upsert", [], {}),
    "deletes": ("upsert", [MARKER], {}),
    "deletedAt": ("upsert", [MARKER], MARKED),
    "replace": ("replace", [], {}),
    "scd2": ("scd2", [SINCE, MARKER], VERSIONS),
    "cumulative": ("upsert", [], MARKED),
}


class Place:
    """A pipeline of one table that lands one way, and the folder its files come to."""

    def __init__(self, database, folder, way):
        mode, columns, table = WAYS[way]
        self.database, self.landing = database, folder / "landing"
        self.landing.mkdir()
        definitions = folder / "definitions"
        contract = {
            "apiVersion": "v3.1.0", "kind": "DataContract", "id": "things", "version": "1.0.0",
            "schema": [{"name": "things", "physicalName": "shop.things", "properties": [*KEY, *columns], **table}],
        }  # fmt: skip
        pipeline = {
            "pipeline": "things", "contract": "../contracts/things.odcs.yaml",
            "source": {"files": {"path": "things_{date:%Y-%m-%d}.csv", "select": "name"}},
            "load": {"mode": mode, "reject_threshold": 1},
        }  # fmt: skip
        if way == "cumulative":
            pipeline["source"]["files"]["content"] = "cumulative"
            pipeline["load"]["removal_threshold"] = 0.5
        for kind, name, document in (
            ("contracts", "things.odcs.yaml", contract),
            ("pipelines", "things.yaml", pipeline),
        ):
            (definitions / kind).mkdir(parents=True)
            (definitions / kind / name).write_text(yaml.safe_dump(document))
        self.settings = Settings.from_env(
            {
                **database.environment,
                "HAULIER_EXCHANGE": f"file://{folder}/exchange",
                "HAULIER_DEFINITIONS": str(definitions),
                "HAULIER_SOURCE_ROOT": str(self.landing),
            }
        )

    def send(self, number, *lines):
        path = self.landing / f"things_{day(number).start:%Y-%m-%d}.csv"
        path.write_text("\n".join([*lines, ""]))
        arrived = day(number).start.timestamp()
        os.utime(path, (arrived, arrived))
        return haul(self.settings, "things", "main", day(number))

    def is_clean(self):
        with connect(self.settings, "test") as connection:
            return verify(connection, self.settings, exchange=open_exchange(self.settings), deep=True) == []


@pytest.fixture
def place(tier, tmp_path):
    with fresh_database(tier) as database:
        yield lambda way: Place(database, tmp_path, way)


@pytest.mark.parametrize(("case", "way"), cells.CELLS)
def test_what_a_cell_of_the_table_says_happens(database, tmp_path, case, way):
    files, fates, table = cells.CELLS[case, way]
    here = cells.WAYS[way]
    settings = settings_of(database, tmp_path)
    sender = Sender(settings=settings, mode=here.mode, contract=here.contract, reject_threshold=1)
    has = {column.name for column in here.contract.columns}
    for number, (on, words) in enumerate(files):
        rows = [
            {
                "thing": key,
                "colour": colour,
                "price": Decimal(1),
                "edited": int(edited),
                "op": "D" if colour == "D" else "U",
            }
            for key, colour, edited in (word.split() for word in words.split(", "))
        ]
        rows = [{name: value for name, value in row.items() if name in has} for row in rows]
        outcome = sender.send(on, {f"{number}.csv": rows})

    assert {name: outcome.counts[name] for name in FATES if outcome.counts[name]} == fates
    assert database.rows(here.query) == table
    # The same run once more: nothing.
    assert load(sender.task(on, generation=outcome.generation)).outcome == "already done"
    assert database.rows(here.query) == table
    with connect(settings, "test") as connection:
        assert verify(connection, settings, exchange=sender.exchange, deep=True) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_row_without_a_part_of_its_key_is_rejected_and_can_be_replayed(place, way):
    here = place(way)
    here.send(
        0,
        "site,number,colour,op,since",
        *(f"{line},2026-01-05" for line in ("A,1,red,U", ",2,red,U", "B,,red,U", ",,red,D")),
    )

    assert here.database.rows("SELECT site, number, colour FROM shop.things") == [("A", 1, "red")]
    assert here.database.rows(
        "SELECT row_number, rule, column_name, convert_from(verbatim, 'UTF8') FROM haulier.open_reject ORDER BY 1"
    ) == [
        (3, "required", "site", ",2,red,U,2026-01-05"),
        (4, "required", "number", "B,,red,U,2026-01-05"),
        (5, "required", "site", ",,red,D,2026-01-05"),
    ]
    with connect(here.settings, "test") as connection:
        replays = request_replays(
            connection, here.settings, "things", {"main": lambda _: "d" * 64}, reason="seen"
        )
    assert [replay.rejects for replay in replays] == [3]
    assert here.is_clean()


@pytest.mark.parametrize(
    ("way", "left"),
    [("deletes", "true"), ("deletedAt", "deleted_at IS NULL"), ("scd2", "valid_to IS NULL")],
)
def test_a_deletion_in_a_file_needs_no_more_than_its_key_and_when(place, way, left):
    here = place(way)
    here.send(0, "site,number,colour,op,since", "A,1,red,U,2026-01-05", "A,2,red,U,2026-01-05")
    here.send(1, "site,number,op,since", "A,1,D,2026-01-06")

    assert here.database.rows(f"SELECT site, number, colour FROM shop.things WHERE {left}") == [
        ("A", 2, "red")
    ]
    assert here.is_clean()


@pytest.mark.parametrize(
    ("mode", "deleted_at", "vanished", "removed"),
    [("upsert", None, 1, 0), ("upsert", "deleted_at", 1, 0), ("replace", None, 0, 1)],
)
def test_keys_that_a_cumulative_file_no_longer_has_are_counted(
    database, tmp_path, mode, deleted_at, vanished, removed
):
    settings = settings_of(database, tmp_path)
    contract = KEYED if mode == "replace" else deleting(KEYED, deleted_at=deleted_at)
    sender = Sender(settings=settings, contract=contract, mode=mode, content="cumulative")
    marked = {} if mode == "replace" else {"op": "U"}

    def rows(*things):
        return [{"thing": name, "price": Decimal(1), **marked} for name in things]

    sender.send(0, {"a.csv": rows("x", "y", "z") if marked else rows("x", "y")})
    sender.send(0, {"a.csv": rows("p")}, instance="other")
    if marked:
        sender.send(1, {"a.csv": [*rows("x", "y"), {"thing": "z", "op": "D"}]})
    outcome = sender.send(2, {"a.csv": rows("x")})

    assert (outcome.counts["vanished"], outcome.counts["removed"]) == (vanished, removed)


def test_cumulative_files_mark_what_they_no_longer_have_and_stop_where_too_much_is_gone(place):
    here = place("cumulative")
    live = "SELECT site, number FROM shop.things WHERE deleted_at IS NULL ORDER BY 1, 2"
    here.send(0, "site,number,colour", "A,1,red", "A,2,red", "B,1,red", "B,2,red")
    fewer = here.send(1, "site,number,colour", "A,1,red", "B,1,red")["load"]
    without_rows = here.send(2, "site,number,colour")["load"]

    assert (fewer.counts["vanished"], fewer.counts["removed"], fewer.exit_code) == (2, 2, 0)
    assert (without_rows.counts["vanished"], without_rows.exit_code) == (2, 65)
    assert "2 of the 2 rows that this instance has in shop.things are no longer sent" in without_rows.notes[0]
    assert here.database.rows(live) == [("A", 1), ("B", 1)]
    with pytest.raises(DataError, match=r"already quarantined.*load\.removal_threshold"):
        haul(here.settings, "things", "main", day(2))

    again = here.send(2, "site,number,colour", "A,1,red", "A,2,red", "B,1,red")["load"]
    assert (again.counts["updated"], again.counts["unchanged"], again.exit_code) == (1, 2, 0)
    assert here.database.rows(live) == [("A", 1), ("A", 2), ("B", 1)]
    assert here.is_clean()
