"""Rows of one item each become one row per group, whatever their order and wherever batches end."""

from __future__ import annotations

import resource
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.transforming import (
    column,
    contract,
    definition,
    delivery,
    numbered_table,
    problems,
    text_table,
    transformed,
    values,
)

from haulier.errors import DefinitionError, TransientError
from haulier_transform.canonical import Canonical, Result
from haulier_transform.functions import Functions
from haulier_transform.groups import whole_groups
from haulier_transform.pivot import Pivoting

PIVOT = {
    "by": ["order", "day"],
    "names_from": "itemid",
    "values_from": "value",
    "pattern": "(?:[A-Z]+_)?(?P<part>[A-Z]+)_(?P<item>[A-Za-z]+)",
    "items": {"PRICE": "price", "UNIT": "unit", "Low": "low"},
    "ignore": ["NOTE", "HINT"],
}
COLUMNS = [
    column("order", key_position=1),
    column("part", key_position=2),
    column("day"),
    column("price", "numeric(6,1)", maximum="100"),
    column("unit", max_length=4),
    column("low", "numeric(6,1)"),
]
HEADER = ["Order", "day", "ITEMID", "value"]
NAMES = ("_haulier_row", "order", "part", "day", "price", "unit", "low")


def pivoted(rows: Sequence[Sequence[str | None]], header: Sequence[str] = HEADER, **more: Any) -> Result:
    return transformed(header, rows, COLUMNS, pivot={**PIVOT, **more})


def test_the_items_of_a_group_become_one_row_and_the_first_item_listed_stands_for_it() -> None:
    result = pivoted(
        [
            ["1", "mon", "A_UNIT", "kg"],
            ["1", "mon", "A_PRICE", "5"],
            ["1", "mon", "B_UNIT", "g"],
            ["1", "tue", "A_PRICE", "7"],
            ["1", "mon", "X_A_Low", "4"],
        ]
    )

    assert values(result, *NAMES) == [
        (3, "1", "A", "mon", Decimal(5), "kg", Decimal(4)),
        (4, "1", "B", "mon", None, "g", None),
        (5, "1", "A", "tue", Decimal(7), None, None),
    ]
    assert result.accepted.all()
    assert problems(result) == []
    assert result.notes == []


def test_groups_are_told_apart_to_the_letter_an_empty_cell_being_one_of_its_own() -> None:
    result = pivoted([["1", day, "A_PRICE", "5"] for day in (None, "", "mon", "Mon", "mon ")])

    assert [row[0] for row in values(result, "day")] == [None, "", "mon", "Mon", "mon "]


def test_what_breaks_the_contract_is_an_output_of_the_row_that_stands_for_the_group() -> None:
    result = pivoted(
        [["1", "mon", "A_UNIT", "pounds"], ["1", "mon", "A_PRICE", "x"], ["1", "mon", "B_PRICE", "999"]]
    )

    assert problems(result) == [
        (3, 0, [("type", "price"), ("max_length", "unit")]),
        (4, 0, [("maximum", "price")]),
    ]
    assert result.accepted.tolist() == [True, True, True]
    assert result.rejected_outputs == 2


def test_rows_of_no_item_are_rejected_and_ignored_ones_filtered() -> None:
    result = pivoted(
        [
            ["1", "mon", "A_PRICE", "5"],
            ["1", "mon", "A_NOTE", "why"],
            ["1", "mon", "A_NOTE", "why"],
            ["1", "mon", "A_HINT", None],
            ["1", "mon", "A_PRIZE", "6"],
            ["1", "mon", "?", "6"],
            ["1", "mon", None, "6"],
        ]
    )

    assert problems(result) == [(row, -1, [("unknown-item", "itemid")]) for row in (6, 7, 8)]
    assert [reason.message for reason in result.rejects.reasons] == [
        "'A_PRIZE' is of item 'PRIZE', which transform.pivot neither has in items nor ignores. Name it there, or send the group "
        "without.",
        "'?' does not match transform.pivot.pattern. Mend the name, or the pattern.",
        "the row names no item. Send it with one.",
    ]
    assert result.filtered == {
        "item NOTE is ignored (transform.pivot.ignore)": 2,
        "item HINT is ignored (transform.pivot.ignore)": 1,
    }
    assert result.accepted.tolist() == [True] + [False] * 6


def test_the_same_cell_again_is_part_of_the_group() -> None:
    result = pivoted(
        [["1", "mon", "A_PRICE", "5"], ["1", "mon", "A_PRICE", "5"], ["1", "mon", "A_UNIT", None]] * 2
    )

    assert values(result, *NAMES) == [(2, "1", "A", "mon", Decimal(5), None, None)]
    assert result.accepted.all()


def test_a_group_whose_item_has_two_cells_is_rejected_whole() -> None:
    """Half of it would say that the other half is empty."""
    result = pivoted(
        [
            ["1", "mon", "A_PRICE", "5"],
            ["1", "mon", "A_UNIT", "kg"],
            ["1", "mon", "A_UNIT", None],
            ["1", "mon", "B_PRICE", "6"],
            ["1", "mon", "A_NOTE", "x"],
        ]
    )

    assert problems(result) == [(row, -1, [("item-twice", "unit")]) for row in (2, 3, 4)]
    assert {reason.message for reason in result.rejects.reasons} == {
        "item UNIT has different cells in one group (rows 3, 4), so none of the group's rows is taken. Send the item once."
    }
    assert [row[0] for row in values(result, "part")] == ["B"]
    assert result.accepted.tolist() == [False, False, False, True, False]


def test_marks_for_no_value_are_heeded_in_items() -> None:
    result = transformed(
        HEADER,
        [["1", "mon", "A_PRICE", "ND"], ["1", "mon", "A_UNIT", "ND"]],
        COLUMNS,
        pivot=PIVOT,
        null_values=["ND"],
    )

    assert values(result, "price", "unit") == [(None, None)]
    assert problems(result) == []


def test_a_column_that_is_not_read_is_noted() -> None:
    result = pivoted([["1", "mon", "A_PRICE", "5", "me"]], [*HEADER, "editor"])

    assert result.notes == ["column editor in labs_1.csv: transform.pivot does not read it, not loaded"]


def test_a_file_without_the_columns_that_tell_groups_apart_is_rejected_row_by_row() -> None:
    result = pivoted([["1", "A_PRICE", "5"], ["2", "A_PRICE", "6"]], ["order", "itemid", "other"])

    assert problems(result) == [
        (row, -1, [("missing-column", "day"), ("missing-column", "value")]) for row in (2, 3)
    ]
    assert result.notes[:2] == [
        "column day is missing from the header of labs_1.csv",
        "column value is missing from the header of labs_1.csv",
    ]
    assert not result.accepted.any()


def test_a_header_with_two_columns_of_one_name_is_refused() -> None:
    with pytest.raises(DefinitionError, match="'Order' and 'order' in the header both mean order"):
        pivoted([], ["Order", "order", "day", "itemid", "value"])


def test_a_columns_own_type_is_kept_and_groups_go_by_its_text() -> None:
    table = pa.table(
        {
            **{
                name: numbered_table([], [[], []], [2, 3])[name]
                for name in ("_haulier_delivery", "_haulier_row")
            },
            "order": pa.array([7, 7]),
            "day": pa.array(["mon", "mon"]).dictionary_encode(),
            "itemid": ["A_PRICE", "A_Low"],
            "value": pa.array([Decimal("1.5"), Decimal("0.5")]),
        }
    )

    result = Canonical(definition(pivot=PIVOT), contract(*COLUMNS), [delivery()]).batch(table)

    assert values(result, *NAMES) == [(2, "7", "A", "mon", Decimal("1.5"), None, Decimal("0.5"))]


def test_functions_see_groups_and_what_they_filter_or_reject_is_the_whole_group(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "def run(batch):\n"
        "    assert batch.source.columns.tolist() == ['Order', 'day', 'part', 'price', 'unit', 'low']\n"
        "    assert batch.source['price'].tolist() == ['5', '6', '7']\n"
        "    batch = batch.filter(batch.rows['part'] == 'A', reason='not sold')\n"
        "    batch = batch.flag(batch.rows['part'] == 'C', rule='odd', message='look')\n"
        "    return batch.reject(batch.rows['part'] == 'B', rule='dear', column='price', message='too much')\n"
    )
    rows = [["1", "mon", f"{part}_{item}", "kg"] for part in "ABC" for item in ("UNIT", "PRICE")]
    for number, row in enumerate(rows[1::2], start=5):
        row[3] = str(number)

    result = transformed(HEADER, rows, COLUMNS, pivot=PIVOT, functions=Functions.load(["shop.run"], tmp_path))

    assert result.accepted.tolist() == [False, False, True, True, True, True]
    assert problems(result) == [(5, 0, [("dear", "price")])]
    assert values(result, "_haulier_row", "part") == [(7, "C")]
    assert (result.flags.source.tolist(), result.flags.output.tolist()) == ([5], [0])


def test_a_pattern_that_re2_does_not_read_is_an_error_of_the_definition() -> None:
    with pytest.raises(DefinitionError, match=r"transform\.pivot\.pattern"):
        pivoted([], pattern="(?P<part>A)_(?P<item>B(?=C))")


def test_a_replay_of_single_rows_is_refused() -> None:
    with pytest.raises(DefinitionError, match="--reprocess"):
        Canonical(definition(pivot=PIVOT), contract(*COLUMNS), [delivery(replayed=((2, 0),))])


class TestWholeGroups:
    ROWS = tuple(
        [str(number % 7), None, f"{part}_PRICE", str(number)] for number in range(20) for part in ("A", "B")
    )

    def test_a_run_of_one_batch_is_one_table(self) -> None:
        tables = [text_table(HEADER, self.ROWS[start : start + 5], first=start) for start in range(0, 40, 5)]

        (whole,) = whole_groups(tables, 40, 40, pivoting())

        assert whole.num_rows == 40

    def test_more_go_through_files_that_are_gone_when_they_are_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        found = list(whole_groups([text_table(HEADER, self.ROWS)], 40, 10, pivoting()))

        assert sum(table.num_rows for table in found) == 40
        assert len(found) > 1
        places = defaultdict(set)
        for at, table in enumerate(found):
            for order in table["Order"].to_pylist():
                places[order].add(at)
        assert all(len(at) == 1 for at in places.values())
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_cannot_grow_is_said_with_what_to_do(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        try:
            with pytest.raises(TransientError, match=r"cannot hold the rows .*TMPDIR more room"):
                list(whole_groups([text_table(HEADER, self.ROWS)], 40, 10, pivoting()))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


def pivoting() -> Pivoting:
    found = definition(pivot=PIVOT).transform.pivot
    assert found is not None
    return Pivoting(found)


ROW = st.tuples(
    st.sampled_from([0, 1]),
    st.sampled_from(["1", "2", None]),
    st.sampled_from(["mon", None, ""]),
    st.sampled_from(["A", "B"]),
    st.sampled_from(["PRICE", "UNIT", "UNIT", "Low", "NOTE", "FOO"]),
    st.sampled_from(["1", "1", "1", "x", None]),
)
#: Row -> what became of it, and what was made.
Told = tuple[Counter[str], set[tuple[Any, ...]], set[tuple[Any, ...]]]


def modelled(rows: list[tuple[Any, ...]]) -> Told:
    """What should become of rows, numbered from 2 in each delivery."""
    counts, made, rejected = Counter[str](), set(), set()
    found: dict[tuple[Any, ...], dict[str, list[tuple[int, str | None]]]] = {}
    numbers = Counter({0: 1, 1: 1})
    for place, order, day, part, item, cell in rows:
        numbers[place] += 1
        if item == "FOO":
            rejected.add((place, numbers[place], -1, "unknown-item"))
            counts["rejected"] += 1
        elif item == "NOTE":
            counts["filtered"] += 1
        else:
            cells = found.setdefault((place, order, day, part), {})
            cells.setdefault(item, []).append((numbers[place], cell))
    for (place, order, day, part), cells in found.items():
        members = [number for said in cells.values() for number, _ in said]
        if any(len({cell for _, cell in said}) > 1 for said in cells.values()):
            rejected |= {(place, number, -1, "item-twice") for number in members}
            counts["rejected"] += len(members)
            continue
        counts["accepted"] += len(members)
        stands = next(cells[item][0][0] for item in ("PRICE", "UNIT", "Low") if item in cells)
        price, unit, low = (cells.get(item, [(0, None)])[0][1] for item in ("PRICE", "UNIT", "Low"))
        if order is None or "x" in (price, low):
            rejected.add((place, stands, 0, "required" if order is None else "type"))
        else:
            made.add((place, stands, order, part, day, price and Decimal(price), unit, low and Decimal(low)))
    return counts, made, rejected


def hauled(rows: list[tuple[Any, ...]], most_rows: int, piece: int) -> Told:
    """What becomes of them in batches of so many, handed on in pieces."""
    canonical = Canonical(definition(pivot=PIVOT), contract(*COLUMNS), [delivery(1), delivery(2)])
    tables = []
    for place in (0, 1):
        cells = [
            [order, day, f"{part}_{item}", cell] for at, order, day, part, item, cell in rows if at == place
        ]
        # One of the files has its columns in another order.
        header, cells = (HEADER, cells) if place else (HEADER[::-1], [row[::-1] for row in cells])
        tables += [
            text_table(header, cells[start : start + piece], place=place, first=2 + start)
            for start in range(0, len(cells), piece)
        ]
    counts, made, rejected = Counter[str](), list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    for batch in whole_groups(tables, len(rows), most_rows, pivoting()):
        result = canonical.batch(batch)
        filtered = ~result.accepted & ~result.rejected
        assert sum(result.filtered.values()) == filtered.sum()
        counts += Counter(
            accepted=int(result.accepted.sum()),
            rejected=int(result.rejected.sum()),
            filtered=int(filtered.sum()),
        )
        made += values(result, "_haulier_delivery", *NAMES)
        rejected += [
            (int(result.delivery[source]), int(result.row[source]), int(output), reason.rule)
            for source, output, reason in zip(
                result.rejects.source, result.rejects.output, result.rejects.reasons, strict=True
            )
        ]
    assert len(set(made)) == len(made)
    assert len(set(rejected)) == len(rejected)
    return counts, set(made), set(rejected)


@settings(deadline=None, max_examples=60)
@given(st.lists(ROW, max_size=40), st.sampled_from([1, 2, 5, 1000]), st.integers(1, 9))
def test_any_order_in_batches_of_any_size_is_what_a_few_lines_say(
    rows: list[tuple[Any, ...]], most_rows: int, piece: int
) -> None:
    told = hauled(rows, most_rows, piece)

    assert told == modelled(rows)
    assert sum(told[0].values()) == len(rows)
