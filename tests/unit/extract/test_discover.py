"""A contract proposed from a sample accepts every row of that sample, and guesses nothing that it cannot know."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.reading import kept
from support.workbooks import inline, row, value, workbook

from haulier.contracts import Contract
from haulier.definitions import Instance, Transform
from haulier.definitions.sources import Source
from haulier.errors import DataError, DefinitionError
from haulier.interval import Interval
from haulier.odcs.contract import resolve_contract
from haulier.odcs.standard import Document
from haulier.settings import Settings
from haulier_extract.discovery import Wanted, discover
from haulier_extract.formats import module_of
from haulier_transform.canonical import Canonical

MEDIUM = 30
#: As the standard's own authors publish it.
STANDARD = json.loads(resources.files("open_data_contract_standard").joinpath("schema.json").read_text())


def found(folder: Path, name: str, data: bytes | str, **wanted: Any) -> dict[str, Any]:
    """What a look at a folder with this file proposes."""
    (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return discover(Wanted(place=wanted.pop("place", name), **wanted), Settings(source_root=folder))


def contract_of(proposed: dict[str, Any]) -> Contract:
    contract, problems = resolve_contract(msgspec.convert(proposed["contract"], Document))
    assert contract is not None, [problem.words(proposed["contract"]) for problem in problems]
    return contract


def types(proposed: dict[str, Any]) -> dict[str, str]:
    return {column.name: column.pg_type for column in contract_of(proposed).columns}


def rejected(proposed: dict[str, Any], data: bytes) -> list[tuple[int, str]]:
    """The rows that the proposal, as it stands, would keep out of its table: (row, problems)."""
    source = msgspec.convert(proposed["source"], Source)
    transform = msgspec.convert(proposed["transform"], Transform)
    definition = Instance(pipeline="labs", instance="main", source=source, transform=transform)
    exchange, delivery = kept(data)
    canonical = Canonical(definition, contract_of(proposed), [delivery])
    reader = module_of(source.format).read(exchange, delivery, source.format, position=0, wanted=None)
    problems: list[tuple[int, str]] = []
    for batch in reader.batches(1000, 1 << 20):
        if batch.rows is not None and batch.rows.num_rows:
            rejects = canonical.batch(batch.rows).rejects
            problems += [
                (int(at), reason.problems) for at, reason in zip(rejects.source, rejects.reasons, strict=True)
            ]
    return problems


def text_of(rows: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return written.getvalue()


_DAY = st.dates(date(1000, 1, 1), date(9999, 12, 31))
_MOMENT = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31))
_CELLS: list[st.SearchStrategy[str]] = [
    st.integers().map(str),
    st.integers(-1000, 1000).map(str),
    st.decimals(allow_nan=True, allow_infinity=True, places=3).map(str),
    st.decimals(-1000, 1000, places=2).map(lambda number: str(number).replace(".", ",")),
    st.integers(0, 99).map(lambda number: f"{number:03}"),
    st.floats().map(str),
    *(
        _DAY.map(lambda day, form=form: day.strftime(form))
        for form in ("%Y-%m-%d", "%d.%m.%Y", "%d-%b-%Y", "%m/%d/%Y")
    ),
    _DAY.map(lambda day: f"{day.day}/{day.month}/{day.year:04}"),
    _DAY.map(lambda day: day.strftime("%d-%b-%Y").upper()),
    _MOMENT.map(lambda moment: moment.isoformat()),
    _MOMENT.map(lambda moment: moment.strftime("%d.%m.%Y %H:%M")),
    st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
    st.times().map(str),
    st.sampled_from(["true", "False", "TRUE"]),
    st.sampled_from(["", " ", "NA", "null", "-", "."]),
    st.sampled_from(["M", "F", "U"]),
    st.uuids().map(str),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
    st.text(" 0123456789.,-+eE:TZ/", max_size=12),
]
_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"), min_size=1, max_size=9
)


@st.composite
def _tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 5))
    cells = [
        st.one_of(*draw(st.lists(st.sampled_from(_CELLS), min_size=1, max_size=2))) for _ in range(width)
    ]
    rows = draw(st.lists(st.tuples(*cells).map(list), min_size=1, max_size=40))
    return [draw(st.lists(_NAMES, min_size=width, max_size=width)), *rows]


@given(_tables(), st.sampled_from(",;\t|"), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_every_row_of_a_sample_is_accepted_by_the_contract_proposed_from_it(
    tmp_path: Path, rows: list[list[str]], delimiter: str, encoding: str
) -> None:
    data = text_of(rows, delimiter).encode(encoding)

    proposed = found(tmp_path, "sample.csv", data)

    if proposed["contract"]["schema"][0]["properties"]:
        assert rejected(proposed, data) == []


ORDERS = text_of(
    [
        ["Order No.", "Ordered on", "Customer", "Betrag", "Status", "PLZ", "Na", "paid"],
        *(
            [str(n), f"{n % 28 + 1:02}.03.2026", f"Customer {n % 7}", f"{n},50", ["open", "sent"][n % 2], "01067",
             "NA" if n == 3 else str(n), "true" if n % 2 else "false"]
            for n in range(1, MEDIUM + 1)
        ),
    ],
    ";",
)  # fmt: skip


def test_a_german_export_is_read_as_it_was_meant(tmp_path: Path) -> None:
    proposed = found(tmp_path, "orders.csv", ORDERS, table="shop.orders")

    assert proposed["source"] == {"files": {"path": "orders.csv"}, "csv": {"delimiter": ";"}}
    assert proposed["transform"] == {"decimal_mark": ","}
    contract = contract_of(proposed)
    assert contract.target == "shop.orders"
    assert {column.name: column.pg_type for column in contract.columns} == {
        "order_no": "bigint",
        "ordered_on": "date",
        "customer": "text",
        "betrag": "numeric(6,2)",
        "status": "text",
        "plz": "text",
        "na": "text",
        "paid": "boolean",
    }
    assert contract.key == ("order_no",) == tuple(proposed["key"])
    assert contract.column("order_no").aliases == ("Order No.",)
    assert contract.column("ordered_on").formats == ("%d.%m.%Y",)
    assert contract.column("status").enum == ("open", "sent")
    assert "leading zeros" in proposed["remarks"]["plz"][0]
    assert '"NA" among values that are integer' in proposed["remarks"]["na"][0]
    assert all(column.minimum is None and column.maximum is None for column in contract.columns)
    jsonschema.validate(proposed["contract"], STANDARD)
    assert rejected(proposed, ORDERS.encode()) == []


@pytest.mark.parametrize(
    ("cells", "pg_type", "remark"),
    [
        (["1", "2"], "bigint", ""),
        (["1", "2.50"], "numeric(5,2)", ""),
        (["007", "8"], "text", "leading zeros"),
        (["1,000", "2,500"], "text", "three digits"),
        (["1e5", "2"], "text", "not all written in one way"),
        (["12345678901234567890"], "text", "not all written in one way"),
        (["2026-01-31"], "date", ""),
        (["2026-02-31"], "text", ""),
        (["01/02/2026", "03/04/2026"], "text", '"%d/%m/%Y" or "%m/%d/%Y"'),
        (["31/12/2026"], "date", ""),
        (["20260131"], "bigint", "every value is a day"),
        (["2026-01-31T10:00:00Z"], "timestamptz", ""),
        (["2026-01-31 10:00"], "timestamp", "time_zone"),
        (["2026-01-31T10:00:00Z", "2026-01-31T10:00:00"], "text", "some times have an offset"),
        (["31.01.2026 10:00"], "timestamp", "time_zone"),
        (["10:00", "11:30:15"], "time", ""),
        (["yes", "no"], "text", ""),
        (["0", "1"], "bigint", ""),
        (["", ""], "text", "no value"),
        (["123e4567-e89b-12d3-a456-426614174000"], "uuid", ""),
        (["1", "2", "x"], "text", ""),
    ],
)  # fmt: skip
def test_a_type_is_as_narrow_as_is_certain(
    tmp_path: Path, cells: list[str], pg_type: str, remark: str
) -> None:
    proposed = found(tmp_path, "one.csv", text_of([["value", "other"], *([cell, "x"] for cell in cells)]))

    assert types(proposed)["value"] == pg_type
    assert remark in " ".join(proposed["remarks"]["value"])


def test_points_and_commas_in_one_file_leave_the_commas_text(tmp_path: Path) -> None:
    proposed = found(tmp_path, "one.csv", text_of([["a", "b"], ["1.5", "2,5"]], ";"))

    assert types(proposed) == {"a": "numeric(4,1)", "b": "text"}
    assert proposed["transform"] == {}
    assert "decimal_mark is one for all" in proposed["notes"][0]


@pytest.mark.parametrize(
    ("text", "encoding", "section"),
    [
        ("näme,b\nä,1\n", "utf-8", {}),
        ("näme,b\nä,1\n", "cp1252", {"encoding": "cp1252"}),
        ("näme,b\nä,1\n", "utf-16", {"encoding": "utf-16"}),
        ("name;b\n1,5;1,5\n", "utf-8", {"delimiter": ";"}),
        ("name\tb\n1\t1,5\n", "utf-8", {"delimiter": "\t"}),
        ("name|b\n1|1\n", "utf-8", {"delimiter": "|"}),
        ("name,b\n'1,2',3\n'3,4',5\n", "utf-8", {"quote": "'"}),
        ("Export of Monday\n\nname,b,c\n1,2,3\n2,3,4\n", "utf-8", {"preamble_rows": 2}),
        ("name,b\nName,B\n1,2\n", "utf-8", {"header_rows": 2}),
        ("name\nAda\n", "utf-8", {}),
    ],
)
def test_how_text_is_written_is_found_out(
    tmp_path: Path, text: str, encoding: str, section: dict[str, Any]
) -> None:
    proposed = found(tmp_path, "one.csv", text.encode(encoding))

    assert proposed["source"].get("csv", {}) == section
    assert proposed["sample"]["rejected"] == {}
    assert rejected(proposed, text.encode(encoding)) == []


def test_what_a_definition_says_of_its_format_is_taken_at_its_word(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "odd.yaml").write_text(
        "pipeline: odd\ncontract: ../contracts/none.odcs.yaml\n"
        'source: {files: {path: "*.txt"}, csv: {delimiter: ";", preamble_rows: 1}}\n'
    )
    (tmp_path / "odd.txt").write_text("a;b;c\n1;2;3\n4;5;6\n")

    proposed = discover(Wanted(pipeline="odd"), Settings(source_root=tmp_path, definitions=tmp_path))

    assert list(types(proposed)) == ["n_1", "n_2", "n_3"]


def test_a_sample_is_of_the_day_that_is_asked_about(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "odd.yaml").write_text(
        "pipeline: odd\ncontract: ../contracts/none.odcs.yaml\nsource: {files: {path: now.csv}}\n"
        "instances: {main: {changes: [{since: 2020-01-01, source: {files: {path: now.csv}}}, "
        "{since: 2999-01-01, source: {files: {path: then.csv}}}]}}\n"
    )
    for name in ("now", "then"):
        (tmp_path / f"{name}.csv").write_text(f"{name}\n1\n")
    settings = Settings(source_root=tmp_path, definitions=tmp_path)
    then = Interval.parse("2999-01-01T00:00:00Z", "2999-01-02T00:00:00Z")

    assert list(types(discover(Wanted(pipeline="odd"), settings))) == ["now"]
    assert list(types(discover(Wanted(pipeline="odd", interval=then), settings))) == ["then"]


def test_typed_sources_keep_their_types_and_no_float_is_proposed(tmp_path: Path) -> None:
    table = pa.table(
        {
            "small": pa.array([1, 2], pa.int16()),
            "big": pa.array([1, None], pa.int64()),
            "exact": pa.array([Decimal("1.50"), Decimal("2.25")], pa.decimal128(9, 2)),
            "float": pa.array([0.1, 2.5], pa.float64()),
            "broken": pa.array([0.1, float("nan")], pa.float64()),
            "code": pa.array(["7", "8"]),
            "at": pa.array([datetime(2026, 1, 5), datetime(2026, 1, 6)], pa.timestamp("us", "UTC")),
            "day": pa.array([date(2026, 1, 5), date(2026, 1, 6)], pa.date32()),
            "list": pa.array([[1, 2], []], pa.list_(pa.int32())),
        }
    )
    pq.write_table(table, tmp_path / "one.parquet")
    data = (tmp_path / "one.parquet").read_bytes()

    proposed = found(tmp_path, "one.parquet", data)

    assert types(proposed) == {
        "small": "integer",
        "big": "bigint",
        "exact": "numeric(9,2)",
        "float": "numeric",
        "broken": "text",
        "code": "text",
        "at": "timestamptz",
        "day": "date",
        "list": "jsonb",
    }
    assert not contract_of(proposed).column("big").required
    assert rejected(proposed, data) == []


def test_json_lines_and_workbooks_are_sampled_as_their_readers_read_them(tmp_path: Path) -> None:
    lines = b'{"id": 1, "tags": ["a"], "at": "2026-01-05T10:00:00Z"}\n{"id": 2, "tags": [], "at": null}\n'
    proposed = found(tmp_path, "one.jsonl", lines)
    assert types(proposed) == {"id": "bigint", "tags": "jsonb", "at": "timestamptz"}
    assert rejected(proposed, lines) == []

    cells = [
        row(1, inline("Nr"), inline("Name")),
        row(2, value("1"), inline("Ada")),
        row(3, value("2"), inline("Grace")),
    ]
    book = workbook("".join(cells))
    proposed = found(tmp_path, "one.xlsx", book)
    assert types(proposed) == {"nr": "bigint", "name": "text"}
    assert proposed["source"]["excel"] == {}


def test_the_newest_file_is_looked_at_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "labs_1.csv").write_text("old\n1\n")
    os.utime(tmp_path / "labs_1.csv", (1, 1))

    proposed = found(tmp_path, "labs_2.csv.gz", gzip.compress(b"new,b\n1,2\n"), place="labs_*")

    assert proposed["sample"]["name"] == "labs_2.csv.gz"
    assert types(proposed) == {"new": "bigint", "b": "bigint"}


def test_of_a_long_file_the_beginning_and_a_reservoir_are_kept(tmp_path: Path) -> None:
    data = "id,late\n" + "".join(f"{n},{'x' if n > 500 else n}\n" for n in range(20_000))

    proposed = found(tmp_path, "long.csv", data, rows=100)

    assert proposed["sample"]["seen"] == 20_000
    assert proposed["sample"]["rows"] == 1100
    assert types(proposed)["late"] == "text", "what the first rows do not show, the drawn ones do"
    again = found(tmp_path, "long.csv", data, rows=100)
    assert {**proposed, "sample": None} == {**again, "sample": None}, "a second look says the same"


def test_only_a_look_at_enough_rows_or_a_name_makes_a_key(tmp_path: Path) -> None:
    few = found(tmp_path, "few.csv", "customer,amount\nAda,1\nGrace,2\n")
    named = found(tmp_path, "named.csv", "amount,order_id\n1,7\n2,8\n")
    several = found(
        tmp_path,
        "several.csv",
        text_of([["site_id", "visit"], *([str(n // 6), str(n % 6)] for n in range(30))]),
    )
    none = found(tmp_path, "none.csv", "id,b\n1,2\n1,2\n")

    assert few["key"] == []
    assert named["key"] == ["order_id"]
    assert several["key"] == ["site_id", "visit"]
    assert none["key"] == []


def test_names_are_what_sql_takes_and_the_header_is_their_synonym(tmp_path: Path) -> None:
    header = ["Größe (cm)", "a b", "a_b", "2nd", '"; DROP TABLE x', "xmin", "Ä", "***"]
    proposed = found(tmp_path, "one.csv", text_of([header, ["1"] * len(header)]))

    contract = contract_of(proposed)
    assert [column.name for column in contract.columns] == [
        "grosse_cm", "a_b_2", "a_b", "n_2nd", "drop_table_x", "xmin_", "a", "column_8",
    ]  # fmt: skip
    assert contract.columns[0].aliases == ("Größe (cm)",)


def test_columns_that_differ_in_case_only_are_left_out_and_named(tmp_path: Path) -> None:
    proposed = found(tmp_path, "one.csv", "Id,id,b\n1,2,3\n")

    assert list(types(proposed)) == ["b"]
    assert "differs in case only" in proposed["notes"][0]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("none.csv", "none.csv has nothing to take a sample from"),
        ("old.json", "JSON Lines"),
        ("../x.csv", "leaves the source folder"),
        ("ftp://x/y.csv", "is nowhere Haulier reads"),
    ],
)
def test_a_place_without_a_sample_is_named(tmp_path: Path, place: str, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        discover(Wanted(place=place), Settings(source_root=tmp_path))


def test_an_empty_file_has_nothing_to_propose(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no header"):
        found(tmp_path, "empty.csv", b"")
