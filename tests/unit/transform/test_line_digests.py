"""By its digest a flagged row is known again in a later file."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
from support.transforming import column, text_table, transformed

from haulier_transform.rejects import line_digests

PRICE = column("price", "numeric", soft_maximum="99")


def digests(header, rows, **transform):
    return transformed(header, rows, [column("thing"), PRICE], **transform).flags.line


def test_the_same_cells_have_the_same_digest_wherever_they_stand():
    first = digests(["thing", "price"], [["a", "500"], ["b", "1"], ["c", "700"]])
    again = digests(["thing", "price"], [["new", "1"], ["c", "700"], ["a", "500"]])

    assert len(set(first)) == 2
    assert again == first[::-1]
    assert all(len(one) == 32 for one in first)


def test_another_cell_or_another_column_is_another_line():
    (line,) = digests(["thing", "price", "note"], [["a", "500", "x"]])

    assert digests(["thing", "price", "note"], [["a", "500", "y"]]) != [line]
    assert digests(["thing", "price", "remark"], [["a", "500", "x"]]) != [line]
    assert digests(["thing", "price", "note"], [["a", "500", None]]) != digests(
        ["thing", "price", "note"], [["a", "500", ""]]
    )


def test_several_flags_of_a_row_share_its_digest():
    rows = line_digests(
        text_table(["a"], [["1"], ["2"]]).drop_columns(["_haulier_delivery", "_haulier_row"]),
        np.array([1, 0, 1]),
    )

    assert rows[0] == rows[2] != rows[1]
    assert line_digests(pa.table({"a": ["1"]}), np.zeros(0, dtype=np.int64)) == []


def test_values_of_any_type_have_one():
    typed = pa.table(
        {"a": [Decimal("1.50")], "b": pa.array([b"\xff"]), "c": pa.array([0], pa.timestamp("us", "UTC"))}
    )

    assert len(line_digests(typed, np.array([0]))) == 1


def test_of_rows_that_became_one_all_cells_count():
    """The row that stands for a group is the same; another of its rows is not."""
    pivot = {
        "by": ["thing"],
        "names_from": "item",
        "values_from": "cell",
        "pattern": "(?P<item>.+)",
        "items": {"P": "price", "U": "unit"},
    }

    def one(unit):
        rows = [["a", "P", "500"], ["a", "U", unit]]
        flags = transformed(
            ["thing", "item", "cell"], rows, [column("thing"), PRICE, column("unit")], pivot=pivot
        ).flags
        assert flags.rule == ["implausible"]
        return flags.line

    assert one("kg") == one("kg") != one("g")
