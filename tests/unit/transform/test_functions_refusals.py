"""What a user's function may not do, and where one that is named is not found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.functions import applied, writer

from haulier.errors import Cancelled, DefinitionError
from haulier_transform.functions import Functions


@pytest.fixture
def write(tmp_path: Path) -> Any:
    return writer(tmp_path)


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
