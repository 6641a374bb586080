"""Users' functions: found by name, called on typed rows, and held to the contract."""

from __future__ import annotations

import textwrap
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
    problems,
    text_table,
    transformed,
    values,
)

from haulier.errors import Cancelled, DefinitionError
from haulier_transform.canonical import Canonical, Result
from haulier_transform.functions import Functions

COLUMNS = [
    column("subject", required=True),
    column("weight", "numeric(6,2)"),
    column("height", "numeric(6,2)", soft_maximum="220"),
    column("bmi", "numeric(6,1)", derived=True, maximum="90"),
    column("taken", "date", derived=True),
    column("id", "uuid"),
]
HEADER = ["subject", "weight", "height", "id"]
UUID = "123e4567-e89b-12d3-a456-426614174000"
ROWS: list[list[str | None]] = [
    ["S0", "70", "175", UUID],
    ["S1", "80", None, None],
    ["S2", "90", "230", None],
    ["S3", "x", "180", None],
]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a module into the functions folder and loads functions of it."""

    def written(body: str, *names: str, module: str = "labs") -> Functions:
        (tmp_path / f"{module}.py").write_text(
            "import pandas as pd\nimport pyarrow as pa\nfrom decimal import Decimal\n" + textwrap.dedent(body)
        )
        return Functions.load(names or (f"{module}.run",), tmp_path)

    return written


def applied(functions: Functions, rows: list[list[str | None]] = ROWS, **more: Any) -> Result:
    return transformed(HEADER, rows, COLUMNS, functions=functions, **more)


BMI = """
    def run(batch):
        batch = batch.reject(batch.rows["height"].isna(), rule="no-height", column="height", message="no height")
        square = batch.rows["height"] * batch.rows["height"]
        return batch.assign(bmi=(batch.rows["weight"] * Decimal(10000) / square).round(1))
"""


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


def test_an_instances_name_and_parameters_reach_a_function(write: Any) -> None:
    functions = write(
        """
        def run(batch):
            return batch.assign(subject=batch.instance + "-" + batch.parameters["prefix"] + batch.rows["subject"])
        """
    )

    canonical = Canonical(definition(parameters={"prefix": "P"}), contract(*COLUMNS), [delivery()], functions)

    assert canonical.batch(text_table(HEADER, ROWS[:1])).canonical["subject"].to_pylist() == ["701-PS0"]


def test_the_tables_that_a_definition_names_reach_a_function_as_text(write: Any, tmp_path: Path) -> None:
    write(
        """
        def run(batch):
            known = batch.references["subjects"].set_index("subject")["weight"]
            weight = batch.rows["subject"].map(known).astype("object").map(Decimal, na_action="ignore")
            return batch.assign(bmi=weight)
        """
    )
    functions = Functions.load(["labs.run"], tmp_path, {"subjects": "subject,weight\nS0,10.5\nS1,\n"})
    assert values(applied(functions), "bmi")[:2] == [(Decimal("10.5"),), (None,)]


def test_a_table_that_the_definition_does_not_name_is_an_error_that_says_so(
    write: Any, tmp_path: Path
) -> None:
    write("def run(batch):\n    return batch.assign(bmi=batch.references['unit'])")
    functions = Functions.load(["labs.run"], tmp_path, {"units": "a\n"})
    with pytest.raises(DefinitionError, match=r"there is no reference 'unit': .* did you mean \"units\""):
        applied(functions)


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


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ('def run(batch): return batch.assign(bmmi=Decimal(1))', "'bmmi' is not in the contract; did you mean \"bmi\"?"),
            ('def run(batch): return batch.assign(bmi=1.5)', "bmi is double.*numeric.6,1.; floats are not exact: use Decimal"),
            ('def run(batch): return batch.assign(bmi="a")', "bmi is string, and the contract says numeric"),
            ('def run(batch): return batch.assign(taken=pd.Timestamp("2026-01-05"))', "taken is timestamp.*use dates"),
            ('def run(batch): return batch.assign(subject=1)', "subject is int64, and the contract says text"),
            ('def run(batch): return batch.replace_rows(batch.rows.drop(columns="taken"))', "lost the contract's taken"),
            ('def run(batch): return batch.rows', "returned DataFrame, not a Batch"),
            ('def run(batch): pass', "returned NoneType, not a Batch"),
            ('def run(batch): return batch.replace_rows(batch.rows[1:])', "line 4.*1 source rows are lost"),
            ('def run(batch): batch.rows.index = batch.rows.index[::-1]; return batch', "changed in place"),
            ('def run(batch): return batch.assign(subject=pd.Series([1, "a", None]))', "mixes types"),
        ],
    )  # fmt: skip
    def test_with_the_functions_name(self, write: Any, body: str, says: str) -> None:
        with pytest.raises(DefinitionError, match=f"function labs.run.*{says}"):
            applied(write(body))

    def test_an_exception_is_named_with_its_line_and_without_a_value(self, write: Any) -> None:
        functions = write(
            """
            def helper(batch):
                raise ValueError(batch.rows["subject"][0])

            def run(batch):
                return helper(batch)
            """
        )

        with pytest.raises(DefinitionError) as caught:
            applied(functions)

        assert str(caught.value).startswith("function labs.run (")
        assert str(caught.value).endswith("labs.py, line 6) raised ValueError")
        assert "S0" not in str(caught.value)

    def test_a_batch_made_of_nothing_is_an_error(self, write: Any) -> None:
        functions = write(
            """
            from haulier_transform.batch import Batch
            def run(batch): return Batch.of(batch.rows)
            """
        )

        with pytest.raises(DefinitionError, match="not made from the one it was given"):
            applied(functions)

    def test_a_signal_is_not_the_functions_fault(self, write: Any) -> None:
        functions = write(
            """
            from haulier.errors import Cancelled
            def run(batch): raise Cancelled("SIGTERM")
            """
        )

        with pytest.raises(Cancelled):
            applied(functions)


class TestFinding:
    def test_modules_of_the_folder_may_import_one_another(self, write: Any, tmp_path: Path) -> None:
        (tmp_path / "units.py").write_text("UNIT = 'kg'\n")

        result = applied(write("from .units import UNIT\ndef run(batch): return batch.assign(subject=UNIT)"))

        assert result.canonical["subject"].to_pylist() == ["kg"] * 3

    def test_the_digest_covers_the_code_that_was_used_and_nothing_else(
        self, write: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "units.py").write_text("UNIT = 'kg'\n")
        body = "from .units import UNIT\ndef run(batch): return batch"
        first = write(body).digest

        (tmp_path / "other.py").write_text("1 / 0\n")
        assert write(body).digest == first
        (tmp_path / "units.py").write_text("UNIT = 'lb'\n")
        assert write(body).digest != first
        (tmp_path / "units.py").write_text("UNIT = 'kg'\n")
        assert write(body + " # now").digest != first

    def test_a_module_changed_on_disk_is_read_again(self, write: Any) -> None:
        write("def run(batch): return batch")

        changed = write("def run(batch): return batch.assign(subject='new, and longer')")

        assert applied(changed).canonical["subject"].to_pylist() == ["new, and longer"] * 3

    def test_an_installed_package_serves_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = tmp_path / "site" / "haulier_test_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "clean.py").write_text("def run(batch): return batch.assign(subject='installed')\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))

        functions = Functions.load(["haulier_test_package.clean.run"], tmp_path / "functions")

        assert applied(functions).canonical["subject"].to_pylist() == ["installed"] * 3
        (package / "clean.py").write_text("def run(batch): return batch\n")
        assert (
            Functions.load(["haulier_test_package.clean.run"], tmp_path / "functions").digest
            != functions.digest
        )

    def test_the_digest_covers_the_whole_package_that_a_function_is_named_by(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "site" / "haulier_whole_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("def run(batch): return batch\n")
        (package / "tables.py").write_text("UNIT = 'kg'\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        first = Functions.load(["haulier_whole_package.run"], tmp_path / "functions").digest

        (package / "tables.py").write_text("UNIT = 'lb'\n")

        assert Functions.load(["haulier_whole_package.run"], tmp_path / "functions").digest != first

    @pytest.mark.parametrize(
        ("name", "says"),
        [
            ("lab.run", r"there is no .*/lab.py and no installed module lab; did you mean \"labs\"\?"),
            ("labs.rum", r"labs has no function rum; did you mean \"run\"\?"),
            ("labs.UNIT", "labs has no function UNIT"),
            ("broken.run", "importing broken, line 4 raised SyntaxError"),
            ("failing.run", "importing failing raised ZeroDivisionError"),
            ("needing.run", "needing needs the module no_such_thing, which is not installed"),
        ],
    )
    def test_what_cannot_be_found_says_why(self, write: Any, name: str, says: str) -> None:
        write("UNIT = 'kg'\ndef run(batch): return batch")
        for module, body in {
            "broken": "def :",
            "failing": "1 / 0",
            "needing": "import no_such_thing",
        }.items():
            with pytest.raises(DefinitionError):
                write(body, module=module)

        with pytest.raises(DefinitionError, match=says):
            write("UNIT = 'kg'\ndef run(batch): return batch", name)


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
