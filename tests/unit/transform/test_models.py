"""A model's SQL: what it reads is found by a parser, what it may not do is refused, circles are named."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg2 import sql

from haulier.definitions.models import Model
from haulier.errors import DefinitionError
from haulier_transform.models.parsing import in_order, read_model


def model(text, name="one", target="shop.one"):
    return Model(name=name, materialized="view", target=target, sql=text)


def plain(composed):
    """As it would be sent, of pieces that need no connection."""
    if isinstance(composed, sql.Composed):
        return "".join(map(plain, composed.seq))
    if isinstance(composed, sql.Identifier):
        return ".".join(f'"{part}"' for part in composed.strings)
    return composed.string


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("SELECT * FROM raw.a", ["raw.a"]),
        ('SELECT * FROM Raw.A x JOIN "raw"."B" USING (id)', ["raw.B", "raw.a"]),
        ("WITH a AS (SELECT 1 AS x FROM raw.b) SELECT * FROM a", ["raw.b"]),
        (
            "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT * FROM n, raw.a",
            ["raw.a"],
        ),
        (
            "SELECT row_number() OVER (PARTITION BY x ORDER BY y) FROM raw.a WINDOW w AS (ORDER BY x)",
            ["raw.a"],
        ),
        ("SELECT 'FROM raw.no' AS x -- raw.no\n/* raw.no */ FROM raw.a", ["raw.a"]),
        ("SELECT $$raw.no$$, (SELECT max(x) FROM raw.b) FROM raw.a", ["raw.a", "raw.b"]),
        (
            "SELECT * FROM raw.a, LATERAL (VALUES (a.x)) AS v (x), generate_series(1, 3), unnest(a.y)",
            ["raw.a"],
        ),
        (
            "SELECT 1 FROM raw.a UNION ALL (SELECT 2 FROM raw.b EXCEPT SELECT 3 FROM raw.c)",
            ["raw.a", "raw.b", "raw.c"],
        ),
        ("SELECT * FROM raw.a WHERE EXISTS (SELECT FROM raw.b)", ["raw.a", "raw.b"]),
    ],
)
def test_what_it_reads_is_every_table_it_names(text, reads):
    assert list(read_model(model(text)).reads) == reads


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SELECT * FROM a", "write schema.a"),
        ("SELECT * FROM other.raw.a", "names a database"),
        ("DELETE FROM raw.a", "must be one SELECT"),
        ("SELECT 1; SELECT 2", "must be one SELECT"),
        ("SELECT 1;", "semicolon"),
        ("WITH gone AS (DELETE FROM raw.a RETURNING *) SELECT * FROM gone", "DELETE"),
        ("SELECT * INTO raw.b FROM raw.a", "INTO"),
        ("SELECT * FROM raw.a FOR UPDATE", "LOCK"),
        ("DROP TABLE raw.a", "must be one SELECT"),
        ("SELEC * FROM raw.a", "is not SQL that PostgreSQL reads"),
        ("SELECT * FROM (raw.a", "is not SQL that PostgreSQL reads"),
        ("SELECT * FROM shop.one", "which it makes itself"),
    ],
)
def test_what_is_not_one_select_over_named_tables_is_refused(text, says):
    with pytest.raises(DefinitionError, match=r"models/one\.sql") as caught:
        read_model(model(text))

    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("SELECT é FROM raw.a AS r", 'SELECT é FROM "x" AS r'),
        ("SELECT 'raw.a', a.i FROM raw.a, Raw.b", 'SELECT \'raw.a\', a.i FROM "x" AS "a", Raw.b'),
        ('SELECT * FROM "raw" . "a" r', 'SELECT * FROM "x" r'),
        ("SELECT * FROM raw.a JOIN raw.a o USING (i)", 'SELECT * FROM "x" AS "a" JOIN "x" o USING (i)'),
    ],
)
def test_a_table_is_replaced_where_it_stands_and_nothing_else_changes(text, becomes):
    assert plain(read_model(model(text)).text({"raw.a": sql.Identifier("x")})) == becomes


@settings(deadline=None)
@given(st.text(alphabet="aé𝄞'\\ \n-*/$", max_size=20))
def test_no_text_in_a_string_moves_the_place_of_a_table(text):
    literal = "'" + text.replace("'", "''") + "'"
    written = f"SELECT {literal} AS t FROM raw.a AS r"

    read = read_model(model(written))

    assert plain(read.text({"raw.a": sql.Identifier("x")})) == f'SELECT {literal} AS t FROM "x" AS r'


@settings(deadline=None)
@given(
    st.permutations(
        [("a", "raw.r"), ("b", "shop.a"), ("c", "shop.a, shop.b"), ("d", "shop.c"), ("e", "raw.r")]
    )
)
def test_each_comes_after_what_it_reads(given_order):
    models = [
        read_model(model(f"SELECT 1 FROM {reads}", name, f"shop.{name}")) for name, reads in given_order
    ]

    names = [one.model.name for one in in_order(models)]

    assert sorted(names) == ["a", "b", "c", "d", "e"]
    assert names.index("a") < names.index("b") < names.index("c") < names.index("d")


def test_a_circle_is_named_whole():
    circle = [("a", "shop.b"), ("b", "shop.c"), ("c", "shop.a"), ("d", "raw.r")]
    models = [read_model(model(f"SELECT 1 FROM {reads}", name, f"shop.{name}")) for name, reads in circle]

    with pytest.raises(DefinitionError, match="in a circle: a reads b reads c reads a"):
        in_order(models)


def test_a_merge_of_another_merges_rows_is_refused():
    """Which of them are still there would depend on the order of runs."""
    models = [read_model(model(f"SELECT 1 FROM {reads}", name, f"shop.{name}")) for name, reads in PAIR]
    merges = [
        dataclasses.replace(one, model=msgspec.structs.replace(one.model, materialized="merge"))
        for one in models
    ]

    assert len(in_order(models)) == 2
    with pytest.raises(DefinitionError, match=r"models/b\.sql: a merge reads shop\.a, which is a merge, too"):
        in_order(merges)


PAIR = (("a", "raw.r"), ("b", "shop.a"))
