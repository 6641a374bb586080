"""Users' functions: called on typed rows, and held to the contract."""

from __future__ import annotations

import textwrap
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.functions import BMI, COLUMNS, HEADER, ROWS, UUID, applied, writer
from support.transforming import (
    column,
    contract,
    definition,
    delivery,
    problems,
    text_table,
    transformed,
    values,
)

from haulier_transform.canonical import Canonical
from haulier_transform.functions import Functions


@pytest.fixture
def write(tmp_path: Path) -> Any:
    return writer(tmp_path)


def test_a_function_computes_rejects_and_keeps_types(write: Any) -> None:
    result = applied(write(BMI))

    assert values(result, "subject", "bmi") == [("S0", Decimal("22.9")), ("S2", Decimal("17.0"))]
    assert problems(result) == [(3, -1, [("no-height", "height")]), (5, -1, [("type", "weight")])]
    assert str(result.canonical["id"][0].as_py()) == UUID
    assert result.flags.rule == ["implausible"]
    assert result.rejected.tolist() == [False, True, False, True]
    assert result.rejected_outputs == 0


def test_functions_are_called_in_order_and_see_contract_types(write: Any) -> None:
    functions = write(
        """
        TYPES = {"subject": "string", "weight": "decimal128(6, 2)[pyarrow]", "bmi": "decimal128(6, 1)[pyarrow]",
                 "taken": "date32[day][pyarrow]", "id": "string"}

        def first(batch):
            return batch.assign(bmi=[Decimal(1)] * len(batch.rows), taken=pd.Timestamp("2026-01-05").date())

        def second(batch):
            for name, dtype in TYPES.items():
                assert str(batch.rows[name].dtype).replace("string[pyarrow]", "string") == dtype, name
            return batch.assign(bmi=batch.rows["bmi"] + 1)
        """,
        "labs.first",
        "labs.second",
    )

    result = applied(functions)

    assert {str(value) for value in result.canonical["taken"].to_pylist()} == {"2026-01-05"}
    assert result.canonical["bmi"].to_pylist() == [Decimal(2)] * 3


def test_derived_columns_are_judged_after_the_functions_with_all_their_problems(write: Any) -> None:
    functions = write(
        """
        def run(batch):
            return batch.assign(bmi=Decimal(99), subject=batch.rows["subject"].mask(batch.rows["subject"] == "S1"))
        """
    )

    result = applied(functions)

    assert problems(result) == [
        (2, -1, [("maximum", "bmi")]),
        (3, -1, [("required", "subject"), ("maximum", "bmi")]),
        (4, -1, [("maximum", "bmi")]),
        (5, -1, [("type", "weight")]),
    ]


def test_too_many_decimals_are_rejected_and_never_rounded(write: Any) -> None:
    result = applied(write('def run(batch): return batch.assign(bmi=batch.rows["weight"] / 7)'), ROWS[:2])

    assert problems(result) == [(3, -1, [("scale", "bmi")])]
    assert values(result, "subject", "bmi") == [("S0", Decimal(10))]
    assert "round it" in result.rejects.reasons[0].message


def test_a_message_that_postgresql_could_not_keep_is_made_storable(write: Any) -> None:
    functions = write(
        r"""
        def run(batch):
            batch = batch.flag(batch.rows["subject"] == "S1", rule="f", message="a\0b")
            return batch.reject(batch.rows["subject"] == "S0", rule="r", message="a\0b\ud800c")
        """
    )

    result = applied(functions, ROWS[:2])

    (reason,) = result.rejects.reasons
    assert reason.message == r"a\0b\ud800c"
    assert "\\u0000" not in reason.problems
    assert result.flags.message == [r"a\0b"]


def test_filtered_rows_are_counted_with_their_reason(write: Any) -> None:
    result = applied(
        write('def run(batch): return batch.filter(batch.rows["subject"] == "S1", reason="screening")')
    )

    assert result.filtered == {"screening": 1}
    assert result.accepted.tolist() == [True, False, True, False]
    assert result.rejected.tolist() == [False, False, False, True]


def test_a_function_of_nothing_is_not_called(write: Any) -> None:
    functions = write("def run(batch): raise RuntimeError")

    assert applied(functions, [["S3", "x", "180", None]]).canonical.num_rows == 0


class TestReshape:
    def test_child_rows(self, write: Any) -> None:
        functions = write(
            """
            def run(batch):
                batch = batch.replace_rows(pd.concat([batch.rows.assign(bmi=Decimal(1)), batch.rows.assign(bmi=Decimal(2))]))
                return batch.reject((batch.rows["bmi"] == 2) & (batch.rows["subject"] == "S0"), rule="r", message="m")
            """
        )

        result = applied(functions, reshape=True)

        assert values(result, "_haulier_row", "_haulier_output", "bmi") == [
            (2, 0, Decimal(1)), (3, 0, Decimal(1)), (3, 1, Decimal(2)), (4, 0, Decimal(1)), (4, 1, Decimal(2)),
        ]  # fmt: skip
        assert problems(result) == [(2, 1, [("r", None)]), (5, -1, [("type", "weight")])]
        assert result.accepted.tolist() == [True, True, True, False]
        assert result.rejected_outputs == 1

    def test_a_group_accepts_every_row_it_stands_for(self, write: Any) -> None:
        functions = write(
            """
            def run(batch):
                first = pd.Series(batch.rows.index.min(), index=batch.rows.index)
                return batch.replace_rows(batch.rows[:1], sources=first)
            """
        )

        result = applied(functions, reshape=True)

        assert values(result, "_haulier_row", "_haulier_output") == [(2, 0)]
        assert result.accepted.tolist() == [True, True, True, False]
        assert result.filtered == {}

    def test_a_functions_reject_under_an_unpivot_is_of_the_output(self, write: Any) -> None:
        functions = write(
            'def run(batch): return batch.reject(batch.rows["test"] == "A", rule="r", column="test", message="m")'
        )
        columns = [column("subject"), column("test"), column("result", "integer")]
        unpivot = {"columns": {"a": "A", "b": "B"}, "names_to": "test", "values_to": "result"}

        result = transformed(
            ["subject", "a", "b"],
            [["S0", "1", "2"], ["S1", "3", None]],
            columns,
            functions=functions,
            unpivot=unpivot,
        )

        assert problems(result) == [(2, 0, [("r", "test")]), (3, 0, [("r", "test")])]
        assert result.accepted.tolist() == [True, True]
        assert values(result, "_haulier_output", "result") == [(1, 2)]


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "S1", "S2"]),
            st.sampled_from(["1", "50", "x", None]),
            st.sampled_from(["1", "170", None]),
        ),
        max_size=25,
    ),
    st.integers(1, 26),
    st.booleans(),
)
def test_functions_do_not_notice_where_batches_end(
    tmp_path_factory: pytest.TempPathFactory, given: list[tuple[Any, ...]], batch_rows: int, reshape: bool
) -> None:
    functions = _row_by_row(tmp_path_factory)
    canonical = Canonical(definition(reshape=reshape), contract(*COLUMNS), [delivery()], functions)
    table = text_table(HEADER[:3], given)

    results = [canonical.batch(table.slice(start, batch_rows)) for start in range(0, len(given), batch_rows)]
    whole = canonical.batch(table)

    assert pa.concat_tables([*(one.canonical for one in results), whole.canonical.slice(0, 0)]).equals(
        whole.canonical
    )
    assert [found for one in results for found in problems(one)] == problems(whole)
    assert [bool(a) for one in results for a in one.accepted] == whole.accepted.tolist()
    assert sum(one.filtered.total() for one in results) == whole.filtered.total()
    assert whole.filtered.total() == int((~whole.accepted & ~whole.rejected).sum())


_loaded: list[Functions] = []


def _row_by_row(tmp_path_factory: pytest.TempPathFactory) -> Functions:
    if not _loaded:
        folder = tmp_path_factory.mktemp("functions")
        (folder / "rowwise.py").write_text(
            textwrap.dedent(
                """
                import pandas as pd
                def run(batch):
                    batch = batch.filter(batch.rows["subject"] == "S2", reason="two")
                    batch = batch.reject(batch.rows["height"] < 50, rule="small", message="small")
                    batch = batch.flag(batch.rows["weight"] > 10, rule="some", message="some")
                    if batch._reshape:
                        batch = batch.replace_rows(pd.concat([batch.rows, batch.rows[batch.rows["weight"].notna()]]))
                    return batch
                """
            )
        )
        _loaded.append(Functions.load(["rowwise.run"], folder))
    return _loaded[0]


def test_a_flag_about_what_a_deletion_need_not_say_is_none(write: Any) -> None:
    functions = write(
        """
        def run(batch):
            empty = batch.rows["weight"].isna()
            batch = batch.flag(empty, rule="no-weight", column="weight", message="no weight")
            return batch.flag(empty, rule="odd-key", column="subject", message="odd")
        """
    )
    columns = [
        column("subject", key_position=1),
        column("weight", "numeric(6,2)"),
        column("op", deletes=("D",)),
    ]
    rows: list[list[str | None]] = [["S1", None, "D"], ["S2", None, "U"], ["S3", "80", "D"]]
    result = transformed(["subject", "weight", "op"], rows, columns, functions=functions)

    assert values(result, "subject") == [("S1",), ("S2",), ("S3",)]
    assert sorted(zip(result.flags.source.tolist(), result.flags.rule, strict=True)) == [
        (0, "odd-key"),
        (1, "no-weight"),
        (1, "odd-key"),
    ]
