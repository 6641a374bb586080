"""What a database refuses, before a run and in one; and what is never shown of it."""

from __future__ import annotations

from decimal import Decimal

import pytest
import yaml
from support.lab import KINDS, ROWS, clean, lab, lab_of, put, run
from support.steps import run_cold
from support.things import day

from haulier.errors import DataError, DefinitionError, TransientError
from haulier_extract.check import check


@pytest.fixture(params=KINDS)
def here(request, tier, tmp_path):
    """A lab of each kind, with eight rows."""
    with lab_of(request, tier, tmp_path) as made:
        put(made, ROWS)
        yield made


@pytest.fixture
def postgres(tier, tmp_path):
    with lab("postgresql", tier, tmp_path) as made:
        yield made


@pytest.fixture
def sqlite(tier, tmp_path):
    with lab("sqlite", tier, tmp_path) as made:
        yield made


class TestCheck:
    @pytest.mark.parametrize(
        ("sql", "why"),
        [
            ({"watermark": {"column": "price", "lag_seconds": 5}}, "price is a number; write lag_steps"),
            ({"watermark": {"column": "changed", "lag_steps": 5}}, "changed is no number; write lag_seconds"),
            ({"watermark": {"column": "colour", "lag_seconds": 5}}, "colour is text, of which no time"),
            ({"key": ["colr"]}, "source.sql.key"),
            ({"interval": "change"}, "source.sql.interval"),
        ],
    )
    def test_what_a_run_would_stumble_over_is_said_before_it(self, here, sql, why):
        if here.kind == "sqlite":
            # Its values say what they are, and these were written as text.
            here.do("UPDATE things SET price = 1.5")
        here.define(**sql)
        ((subject, problem),) = check("things", None, here.settings)

        assert (subject, why in problem) == ("things/main", True), problem

    @pytest.mark.parametrize(
        "sql",
        [
            {"watermark": {"column": "ok"}},
            {"interval": "price"},
            {"key": ["doc"]},
            {"key": ["doc"], "chunk_rows": 2},
        ],
    )
    def test_what_the_database_has_no_order_for_is_said_before_a_run(self, postgres, sql):
        postgres.do("ALTER TABLE things ADD ok boolean, ADD doc json")
        postgres.define(**sql)
        ((subject, problem),) = check("things", None, postgres.settings)

        assert (subject, "sqlstate 42883" in problem) == ("things/main", True), problem

    @pytest.mark.parametrize(
        "sql", [{}, {"chunk_rows": 2}, {"interval": "changed"}, {"watermark": {"column": "changed"}}]
    )
    def test_no_row_is_read_for_it(self, postgres, sql):
        put(postgres, ROWS)
        postgres.do(
            "CREATE VIEW touchy AS SELECT thing, colour, 1 / (price - price) AS price, changed FROM things"
        )
        postgres.define(table="touchy", **sql)

        assert check("things", None, postgres.settings) == []
        with pytest.raises(DataError):
            run(postgres, -1)

    def test_an_empty_table_says_nothing_of_its_lag(self, sqlite):
        for lag in ("lag_steps", "lag_seconds"):
            sqlite.define(watermark={"column": "changed", lag: 5})

            assert check("things", None, sqlite.settings) == []
            assert run(sqlite)["extract"].outcome == "empty"

    @pytest.mark.parametrize(
        ("differs", "why"),
        [
            ({"password": "OTHER"}, "password authentication failed"),
            ({"key": ["colr"]}, "source.sql.key"),
            ({"columns": ["thing", "nope"]}, "source.sql.columns"),
            ({"watermark": {"column": "nope"}}, "source.sql.watermark.column"),
            ({"url": "&options=-crole%3Dnobody_of_that_name"}, "nobody_of_that_name"),
        ],
    )
    def test_each_instance_that_is_set_up_otherwise_is_looked_at(self, tier, tmp_path, differs, why):
        with lab("postgresql", tier, tmp_path, HAULIER_SECRET_OTHER="wr0ng") as made:
            made.define()
            file = made.definitions / "pipelines" / "things.yaml"
            if "url" in differs:
                differs = {"url": made.url + differs["url"]}
            document = {
                **yaml.safe_load(file.read_text()),
                "instances": {"one": {}, "two": {"source": {"sql": differs}}},
            }
            file.write_text(yaml.safe_dump(document))
            found = check("things", None, made.settings)

            assert [subject for subject, _ in found] == ["things/two"]
            assert why in found[0][1]


class TestRefusals:
    @pytest.mark.parametrize(
        ("sql", "why"),
        [
            ({"table": "thing"}, "thing"),
            (
                {"columns": ["thing", "color"]},
                'source.sql.columns: "color" is no column of things; did you mean "colour"',
            ),
            ({"key": ["colr"]}, "source.sql.key"),
            ({"watermark": {"column": "change"}}, "source.sql.watermark.column"),
        ],
    )
    def test_what_is_not_there_is_named(self, here, sql, why):
        here.define(**sql)
        with pytest.raises(DefinitionError, match=why):
            run(here)

    def test_a_wrong_password_shows_nowhere_nor_whose_it_is(self, tier, tmp_path, maria):
        with lab("mariadb", tier, tmp_path, maria, HAULIER_SECRET_OTHER="wr0ng") as made:
            made.define(password="OTHER")
            code, _, log = run_cold(made.place.environment, "extract", "things", "main", day(0))

            assert (code, "Access denied for user '***'@'localhost'" in log) == (2, True)
            assert "wr0ng" not in log
            assert "reader" not in log
            ((subject, problem),) = check("things", None, made.settings)
            assert (subject, "reader" in problem) == ("things/main", False)

    @pytest.mark.parametrize(("before", "behind"), [("per.son@", ""), ("", "&user=per.son"), ("", "")])
    def test_no_user_shows_whichever_way_it_is_named(self, postgres, before, behind):
        """Before the host, in the options, or by nobody: then libpq takes the ledger's."""
        user = postgres.handle.environment["PGUSER"]
        postgres.define(url=postgres.url.replace(f"{user}@", before) + behind, password="OTHER")
        environment = {**postgres.place.environment, "HAULIER_SECRET_OTHER": "wr0ng"}
        code, _, log = run_cold(environment, "extract", "things", "main", day(0))

        assert code == 2, log
        assert r"failed for user \"***\"" in log
        assert "per.son" not in log

    def test_who_may_not_read_a_table_is_not_named_either(self, tier, tmp_path, maria):
        with lab("mariadb", tier, tmp_path, maria) as made:
            made.define(table="mysql.user", key=["User"])
            with pytest.raises(DefinitionError, match=r"SELECT command denied to user '\*\*\*'@") as refused:
                run(made)
            assert "reader" not in str(refused.value)

    def test_a_password_is_in_no_record(self, here):
        here.define()
        run(here)
        kept = "".join(
            map(str, here.database.rows("SELECT uri, logical_name, position FROM haulier.delivery"))
        )

        assert "reader" not in kept
        assert not here.password or here.password not in kept
        assert not here.password or here.password not in repr(here.settings)

    def test_the_ledgers_password_is_offered_to_no_source(self, postgres):
        """This source is the ledger's own server, which its password would open."""
        postgres.define(password=None)
        code, _, log = run_cold(postgres.place.environment, "extract", "things", "main", day(0))

        assert (code, "fe_sendauth: no password supplied" in log) == (2, True)

    def test_a_secret_that_is_not_there_is_named(self, here):
        here.define(password="NOPE")
        with pytest.raises(DefinitionError, match="there is no secret NOPE; set HAULIER_SECRET_NOPE"):
            run(here)

    def test_a_database_that_is_away_is_tried_later(self, postgres):
        postgres.define(url="postgresql://me@127.0.0.1:9/x")
        with pytest.raises(
            TransientError, match=r"postgresql://127\.0\.0\.1:9/x: PostgreSQL cannot be reached"
        ):
            run(postgres)

    def test_a_file_that_is_not_there_is_named(self, sqlite):
        sqlite.define(url="sqlite:///folder/other.db")
        with pytest.raises(
            DefinitionError, match=r"there is no file .*folder/other\.db; is HAULIER_SOURCE_ROOT right"
        ):
            run(sqlite)

    def test_a_statement_that_would_write_is_refused(self, postgres):
        (postgres.definitions / "queries" / "bad.sql").write_text(
            "WITH gone AS (DELETE FROM things RETURNING thing) SELECT * FROM gone"
        )
        postgres.define(table=None, query="../queries/bad.sql")
        put(postgres, ROWS)
        with pytest.raises(DefinitionError):
            run(postgres)
        postgres.define()
        assert run(postgres)["load"].counts["inserted"] == 8

    def test_values_of_rows_are_in_no_error(self, postgres):
        (postgres.definitions / "queries" / "bad.sql").write_text(
            "SELECT thing, thing::int AS price, colour FROM things"
        )
        postgres.define(table=None, query="../queries/bad.sql")
        put(postgres, [("patient 17", "red", Decimal(1), None)])
        with pytest.raises(DataError) as refused:
            run(postgres)
        assert "patient" not in str(refused.value)

    def test_two_columns_of_a_name_are_refused(self, postgres):
        query = postgres.definitions / "queries" / "two.sql"
        query.write_text("SELECT thing AS a, colour AS a FROM things")
        postgres.define(table=None, query="../queries/two.sql")
        with pytest.raises(DefinitionError, match="gives a more than once; name each column with AS"):
            run(postgres)

    def test_text_that_is_none_is_a_reject_and_the_rest_is_loaded(self, sqlite):
        sqlite.do(
            "INSERT INTO things VALUES ('a', CAST(x'ff41' AS TEXT), '1', NULL), ('b', 'red', '2', NULL)"
        )
        sqlite.define()
        run(sqlite)

        assert sqlite.table() == [("b", "red", Decimal(2))]
        assert sqlite.database.rows("SELECT rule, column_name FROM haulier.reject") == [
            ("encoding", "colour")
        ]
        assert clean(sqlite)
