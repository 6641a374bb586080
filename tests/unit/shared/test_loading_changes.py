"""An instance whose sender changes its export: what holds for which run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from support.definitions import CONTRACT, refusal, writer

from haulier import loading
from haulier.approvals import approval_digest
from haulier.definitions import Instance
from haulier.definitions.formats import Csv
from haulier.digests import definition_digest
from haulier.errors import DefinitionError

Write = Callable[..., Path]
CHANGES = "instances.south.changes"
TWICE: list[dict[str, Any]] = [
    {
        "since": date(2026, 1, 20),
        "parameters": {"folder": "t"},
        "source": {"csv": {"encoding": "utf-8", "delimiter": "|"}},
        "transform": {"columns": {"Nr": None, "Number": "number"}},
    },
    {"since": date(2026, 2, 1), "source": {"csv": {"delimiter": None}}},
]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


def on(folder: Path, *day: int) -> Instance:
    file = loading.load_pipeline(folder, "orders")
    return loading.resolve(file, "south", datetime(*day, tzinfo=UTC))[0]


def test_a_run_obeys_what_held_when_its_interval_began(write: Write) -> None:
    folder = write({CHANGES: TWICE})

    before, first, second = on(folder, 2026, 1, 19, 23), on(folder, 2026, 1, 20), on(folder, 2026, 2, 1)

    assert (before.source.csv, before.parameters) == (Csv(delimiter=";", encoding="cp1252"), {"folder": "s"})
    assert (first.source.csv, first.parameters) == (Csv(delimiter="|", encoding="utf-8"), {"folder": "t"})
    assert first.source.files is not None
    assert first.source.files.path == "in/t/south-*.csv"
    assert first.transform.columns == {"When": "placed", "Number": "number"}
    assert second.source.csv is None  # all of it is as without a word
    assert second.transform == first.transform


def test_without_a_time_an_instance_is_as_after_its_last_change(write: Write) -> None:
    file = loading.load_pipeline(write({CHANGES: TWICE}), "orders")

    assert loading.resolve(file, "south")[0] == on(file.folder, 2030, 1, 1)
    assert loading.resolve_instance(file, "south", None) == loading.resolve_instance(
        file, "south", datetime(2026, 1, 5, tzinfo=UTC)
    )
    assert loading.states(file, "north") == [None]
    assert loading.states(file, "south") == [
        None,
        datetime(2026, 1, 20, tzinfo=UTC),
        datetime(2026, 2, 1, tzinfo=UTC),
    ]


def test_a_change_leaves_the_digest_of_the_days_before_it(write: Write) -> None:
    def digest(folder: Path, *day: int) -> str:
        file = loading.load_pipeline(folder, "orders")
        return definition_digest(*loading.resolve(file, "south", datetime(*day, tzinfo=UTC)))

    old = digest(write(), 2026, 1, 19)
    folder = write({CHANGES: TWICE})

    assert digest(folder, 2026, 1, 19) == old
    assert digest(folder, 2026, 1, 20) != old


def test_an_approval_is_of_the_changes_too(write: Write) -> None:
    def digest(changes: dict[str, Any]) -> str:
        folder = write({"transform.functions": [], **changes}, contract={"schema.0.properties": NO_TOTAL})
        return approval_digest(loading.load_pipeline(folder, "orders"))

    later = [{**TWICE[0], "since": date(2026, 1, 21)}, TWICE[1]]

    assert len({digest({}), digest({CHANGES: TWICE}), digest({CHANGES: later})}) == 3


NO_TOTAL = [one for one in CONTRACT["schema"][0]["properties"] if one["name"] != "total"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            [TWICE[1], TWICE[0]],
            "instances.south.changes[1].since: 2026-01-20 is not after 2026-02-01, the change before it",
        ),
        ([TWICE[0], TWICE[0]], "instances.south.changes[1].since: 2026-01-20 is not after 2026-01-20"),
        (
            [{"since": date(2026, 1, 20), "parameters": {"instance": "x"}}],
            "instances.south.changes[0].parameters.instance has a meaning already",
        ),
        (
            [{"since": date(2026, 1, 20), "source": {"csv": {"encodin": "utf-8"}}}],
            'instances.south.changes[0].source.csv.encodin is not a setting of source.csv; did you mean "encoding"?',
        ),
        (
            [{"since": date(2026, 1, 20), "transform": {"time_zone": "Europe/Berln"}}],
            "instances.south.changes[0].transform.time_zone: ",
        ),
        (
            [TWICE[0], {"since": date(2026, 2, 1), "transform": {"columns": {"Nm": "numbr"}}}],
            "instances.south.changes[1].transform.columns.Nm: ",
        ),
        (
            [{"since": date(2026, 1, 20), "source": {"files": None, "custom": {"use": "shop.orders"}}}],
            "instances.south.changes[0].source.custom is another kind of source than before this change",
        ),
        ([{"source": {}}], "instances.south.changes[0].since is missing"),
        ([{"since": "soon"}], "instances.south.changes[0].since: "),
    ],
)
def test_a_change_that_cannot_be_is_named_where_it_is_written(
    write: Write, changes: list[dict[str, Any]], message: str
) -> None:
    assert f"pipelines/orders.yaml: {message}" in refusal(write({CHANGES: changes}), "south")


WATERMARK: dict[str, Any] = {"table": "{folder}.orders", "watermark": {"column": "updated_at"}}
LOG: dict[str, Any] = {
    "table": "orders",
    "changes": {"slot": "{folder}_orders", "publication": "orders", "fields": ["op", "lsn"]},
}
ALL: dict[str, Any] = {"table": "orders"}


@pytest.mark.parametrize(
    ("sql", "change", "place"),
    [
        (WATERMARK, {"source": {"sql": {"url": "sqlite:///new.db"}}}, "changes[0].source.sql.url"),
        (WATERMARK, {"source": {"sql": {"table": "new"}}}, "changes[0].source.sql.table"),
        (WATERMARK, {"parameters": {"folder": "t"}}, "source.sql.table"),
        (
            WATERMARK,
            {"source": {"sql": {"watermark": {"column": "id"}}}},
            "changes[0].source.sql.watermark.column",
        ),
        (LOG, {"source": {"sql": {"changes": {"slot": "new"}}}}, "changes[0].source.sql.changes.slot"),
        (LOG, {"parameters": {"folder": "t"}}, "source.sql.changes.slot"),
        (WATERMARK, {"source": {"sql": {"watermark": {"lag_seconds": 60}}}}, None),
        (WATERMARK, {"parameters": {"more": "t"}}, None),
        (ALL, {"source": {"sql": {"url": "sqlite:///new.db", "table": "new"}}}, None),
    ],
)
def test_how_far_a_source_was_read_outlives_no_change_of_what_is_read(
    write: Write, sql: dict[str, Any], change: dict[str, Any], place: str | None
) -> None:
    source = {"sql": {"url": "postgresql://reader@host/shop", **sql}, "files": None, "csv": None}
    file = loading.load_pipeline(
        write(
            {
                "instances.south.source": source,
                "instances.south.transform": {},
                CHANGES: [{"since": date(2026, 1, 20), **change}],
            }
        ),
        "orders",
    )

    assert loading.resolve_instance(file, "south", datetime(2026, 1, 19, tzinfo=UTC))
    if place is None:
        assert loading.resolve_instance(file, "south")
        return
    with pytest.raises(DefinitionError) as refused:
        loading.resolve_instance(file, "south")
    assert f"instances.south.{place} is not what it was before this change" in str(refused.value)
    assert "give it an instance of its own" in str(refused.value)


ASKED = "-- not {note}\nSELECT id, updated_at FROM orders WHERE shop = {folder}"
BY_WATERMARK: dict[str, Any] = {"watermark": {"column": "updated_at"}}


@pytest.mark.parametrize(
    ("sql", "statement", "parameters", "refused"),
    [
        (BY_WATERMARK, ASKED, {"folder": "t"}, True),
        (BY_WATERMARK, ASKED, {"folder": None}, True),
        (BY_WATERMARK, ASKED, {"note": "t"}, False),
        (BY_WATERMARK, ASKED, {"folder": "s"}, False),
        ({}, ASKED, {"folder": "t"}, False),
        ({}, f"{ASKED} AND updated_at >= {{start}}", {"folder": "t"}, False),
    ],
)
def test_how_far_a_query_was_read_outlives_no_change_of_what_it_is_asked_with(
    write: Write, sql: dict[str, Any], statement: str, parameters: dict[str, str | None], refused: bool
) -> None:
    asked = {"url": "postgresql://reader@host/shop", "query": "../queries/orders.sql", "key": ["id"], **sql}
    folder = write(
        {
            "instances.south.source": {"sql": asked, "files": None, "csv": None},
            "instances.south.transform": {},
            CHANGES: [{"since": date(2026, 1, 20), "parameters": parameters}],
        }
    )
    (folder / "queries").mkdir()
    (folder / "queries" / "orders.sql").write_text(statement)
    file = loading.load_pipeline(folder, "orders")

    assert loading.resolve_instance(file, "south", datetime(2026, 1, 19, tzinfo=UTC))
    if not refused:
        assert loading.resolve_instance(file, "south")
        return
    with pytest.raises(DefinitionError) as found:
        loading.resolve_instance(file, "south")
    assert (
        "instances.south.changes[0].parameters.folder is not what it was before this change, and source.sql.query "
        "asks with it"
    ) in str(found.value)
    assert "give it an instance of its own" in str(found.value)


def test_a_change_of_one_instance_is_nothing_to_another(write: Write) -> None:
    folder = write({CHANGES: [{"since": date(2026, 1, 20), "transform": {"time_zone": "Europe/Berln"}}]})
    file = loading.load_pipeline(folder, "orders")

    assert loading.resolve(file, "north")
    assert loading.resolve(file, "south", datetime(2026, 1, 19, tzinfo=UTC))
    with pytest.raises(DefinitionError):
        loading.resolve(file, "south")
    ((where, said),) = loading.findings(folder)
    assert where == "orders/south"
    assert "instances.south.changes[0].transform.time_zone" in said


def test_what_a_change_makes_wrong_elsewhere_says_from_when_on(write: Write) -> None:
    gone = {"since": date(2026, 1, 20), "parameters": {"folder": None}}
    folder = write({CHANGES: [gone, TWICE[1]], "transform.time_zone": "Europe/Berln"})

    path, name, zone = refusal(folder, "south").splitlines()

    assert "instances.south.source.files.path: " in path
    assert "instances.south.source.files.logical_name: " in name
    assert path.endswith(" (from 2026-01-20 on)")
    assert name.endswith(" (from 2026-01-20 on)")
    assert "transform.time_zone: " in zone
    assert "2026" not in zone


def test_what_is_wrong_with_each_change_is_found_once(write: Write) -> None:
    zone = {"since": date(2026, 1, 20), "transform": {"time_zone": "Europe/Berln"}}
    column = {"since": date(2026, 2, 1), "transform": {"time_zone": None, "columns": {"Nm": "numbr"}}}

    found = loading.findings(write({CHANGES: [zone, column, {"since": date(2026, 3, 1)}]}), "orders")

    assert [where for where, _ in found] == ["orders/south", "orders/south"]
    assert "instances.south.changes[0].transform.time_zone: " in found[0][1]
    assert "instances.south.changes[1].transform.columns.Nm: " in found[1][1]
