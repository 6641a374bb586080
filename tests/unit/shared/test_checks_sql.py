"""What a definition of a database may not say, and that no message repeats a secret."""

from __future__ import annotations

import msgspec
import pytest
from support.cells import KEYLESS
from support.hauling import KEYED, replace_struct

from haulier.checks import of_instance
from haulier.checks.sql import increments_in, of_sql
from haulier.definitions import Transform
from haulier.definitions.formats import Csv
from haulier.definitions.sources import Source, Sql
from haulier.errors import DefinitionError
from haulier.loading import load_pipeline, resolve_instance

GOOD = {"url": "postgresql://reader@host/lims", "table": "public.results"}
QUERY = {"url": "sqlite:///lims.db", "query": "../queries/some.sql", "key": ["id"]}


def told(**sql):
    return msgspec.convert(sql, Sql)


def contract(keyed):
    return KEYED if keyed else KEYLESS


def problems(**sql):
    return [(".".join(map(str, p.trail)), p.text) for p in of_sql(told(**sql), {"instance", "site"})]


@pytest.mark.parametrize(
    "sql",
    [
        {**GOOD, "password": "LAB", "watermark": {"column": "updated_at", "lag_seconds": 60}},
        {**GOOD, "url": "mysql+pymysql://{site}@host:3306/lims?charset=utf8mb4", "interval": "taken_at"},
        {**QUERY, "chunk_rows": 1000},
    ],
)
def test_what_works_has_no_problem(sql):
    assert problems(**sql) == []


@pytest.mark.parametrize(
    ("sql", "where", "what"),
    [
        ({**GOOD, "url": "lims"}, "source.sql.url", "is no address of a database"),
        ({**GOOD, "url": "postgresql://me:s3cret@host/lims"}, "source.sql.url", "source.sql.password"),
        ({**GOOD, "url": "postgresql://host/lims?password=s3cret"}, "source.sql.url", "source.sql.password"),
        ({**GOOD, "url": "postgresql://host/{sight}"}, "source.sql.url", "{site}"),
        ({**GOOD, "password": "s3cret"}, "source.sql.password", "is no name of a secret"),
        ({**GOOD, **QUERY}, "source.sql.table", "beside source.sql.query"),
        ({"url": GOOD["url"]}, "source.sql.table", "or query must be written"),
        ({**QUERY, "key": []}, "source.sql.key", "by which columns"),
        ({**GOOD, "watermark": {"column": "a"}, "interval": "a"}, "source.sql.watermark", "remove one"),
        ({**QUERY, "watermark": {"column": "a"}, "statement": "{start}"}, "source.sql.watermark", "{start}"),
        ({**GOOD, "watermark": {"column": "a"}, "columns": ["b"]}, "source.sql.watermark.column", "add it"),
        (
            {**GOOD, "watermark": {"column": "a", "lag_seconds": 1, "lag_steps": 1}},
            "source.sql.watermark",
            "remove one",
        ),
    ],
)
def test_what_does_not_is_named_with_a_way_out(sql, where, what):
    ((found, text),) = problems(**sql)

    assert (found, what in text) == (where, True), text
    assert "s3cret" not in text


def test_a_database_stands_alone_and_has_no_format():
    source = Source(sql=told(**GOOD), http=None, csv=Csv())
    ((found, text),) = [(".".join(map(str, p.trail)), p.text) for p in of_instance(source, Transform(), {})]

    assert (found, text) == ("source.csv", "is for files; a database's columns have types: remove it")


@pytest.mark.parametrize(
    ("mode", "keyed", "fits"),
    [("replace", True, False), ("append", False, False), ("append", True, True), ("upsert", True, True)],
)
def test_an_increment_is_never_taken_for_all_there_is_or_loaded_twice(mode, keyed, fits):
    sql = told(**GOOD, watermark={"column": "updated_at"})

    assert (list(increments_in(sql, mode, contract(keyed), "the contract")) == []) is fits
    assert list(increments_in(told(**GOOD), mode, contract(keyed), "the contract")) == []


def test_an_interval_is_never_taken_for_all_there_is():
    sql = told(**GOOD, interval="taken_at")

    ((text),) = [p.text for p in increments_in(sql, "replace", contract(True), "the contract")]
    assert "source.sql.interval that is one interval" in text
    assert list(increments_in(sql, "upsert", contract(True), "the contract")) == []


CHANGES = {"slot": "haulier_lims", "publication": "lims"}


@pytest.mark.parametrize(
    ("more", "where", "what"),
    [
        ({"watermark": {"column": "at"}}, "source.sql.changes", "stands beside source.sql.watermark"),
        ({"interval": "at"}, "source.sql.changes", "stands beside source.sql.interval"),
        ({"chunk_rows": 5}, "source.sql.changes", "stands beside source.sql.chunk_rows"),
        ({"url": "mysql://reader@host/lims"}, "source.sql.changes", "is for PostgreSQL"),
        ({"changes": {**CHANGES, "slot": "Lims-1"}}, "source.sql.changes.slot", '"Lims-1" names no slot'),
        ({"changes": {**CHANGES, "slot": "lims_{side}"}}, "source.sql.changes.slot", "side"),
    ],
)
def test_a_log_is_of_a_table_of_postgresql_and_of_nothing_else(more, where, what):
    ((found, text),) = problems(**{**GOOD, "changes": CHANGES, **more})

    assert (found, what in text) == (where, True), text


@pytest.mark.parametrize(
    ("mode", "ordered", "where"),
    [
        ("upsert", True, None),
        ("append", False, None),
        ("upsert", False, "source.sql.changes"),
        ("replace", True, "load.mode"),
        ("scd2", True, "load.mode"),
    ],
)
def test_events_land_where_the_newest_of_a_key_is_known(mode, ordered, where):
    sql = told(**GOOD, changes=CHANGES)
    events = replace_struct(contract(keyed=True), ordering="lsn" if ordered else None)
    found = [".".join(map(str, p.trail)) for p in increments_in(sql, mode, events, "the contract")]

    assert found == ([where] if where else [])


@pytest.mark.parametrize("password", ["s3cret", "s3/cret", "s3#cret", "s3?cret", "s3:cret"])
def test_no_way_to_write_a_password_into_an_address_is_missed(password):
    ((found, text),) = problems(**{**GOOD, "url": f"postgresql://reader:{password}@host/lims"})

    assert found == "source.sql.url"
    assert "cret" not in text


class TestTheQuerysFile:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("pipelines", "queries"):
            (tmp_path / name).mkdir()
        (tmp_path / "queries" / "some.sql").write_text("SELECT 1 AS id")
        return tmp_path

    def define(self, folder, query, more=""):
        (folder / "pipelines" / "labs.yaml").write_text(
            f"pipeline: labs\ncontract: none.yaml\nsource:\n  sql: {{url: 'sqlite:///x.db', query: {query}, key: [id]{more}}}\n"
        )
        return resolve_instance(load_pipeline(folder, "labs"), "main").source.sql

    def test_it_is_part_of_the_definition(self, folder):
        assert self.define(folder, "../queries/some.sql").statement == "SELECT 1 AS id"

    @pytest.mark.parametrize(
        ("query", "more", "why"),
        [
            ("../queries/som.sql", "", r'did you mean "\.\./queries/some\.sql"\?'),
            ("../../elsewhere.sql", "", "lies outside the definitions folder"),
            ("../queries/some.sql", ", statement: SELECT 2", "source.sql.statement is never written"),
        ],
    )
    def test_what_is_wrong_with_it_is_named(self, folder, query, more, why):
        with pytest.raises(DefinitionError, match=why):
            self.define(folder, query, more)
