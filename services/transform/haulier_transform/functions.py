"""Users' own functions: found, called on one batch after another, and held to what they promise."""

from __future__ import annotations

import hashlib
import importlib
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.errors import DefinitionError, HaulierError
from haulier.problems import suggestion
from haulier_transform.arrays import Array, Positions
from haulier_transform.batch import Batch, Recorded, frame_of
from haulier_transform.conform import conformed, uuid_text
from haulier_transform.judging import Finding, Judge

Function = Callable[[Batch], Batch]


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What the functions made of a batch's rows."""

    source: Positions
    output: Positions
    columns: Mapping[str, Array]
    rejected: Sequence[Recorded] = ()
    flagged: Sequence[Recorded] = ()
    #: Reason -> rows.
    filtered: Sequence[tuple[str, int]] = ()
    #: Source rows that a row of another one stands for.
    merged: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


class Functions:
    """The functions of one definition, in order."""

    def __init__(self, named: Sequence[tuple[str, Function]], digest: str) -> None:
        self._named = tuple(named)
        #: SHA-256 over the source of the modules they are in, and those of the folder that these import.
        self.digest = digest

    @classmethod
    def load(cls, names: Sequence[str], folder: Path) -> Functions:
        """Import ``module.function`` from ``folder/module.py``, else from an installed package.

        Raises `DefinitionError` for one that is not there or whose module fails.
        """
        package = _private_package(folder)
        named = [(name, _find(name, folder, package)) for name in names]
        return cls(named, _digest(names, package))

    def apply(
        self,
        table: pa.Table,
        columns: Mapping[str, Array],
        source: Positions,
        output: Positions,
        *,
        definition: Instance,
        contract: Contract,
        judges: Mapping[str, Judge],
    ) -> Applied:
        """Call them in order. ``table`` has the source's text, ``columns`` the typed rows made of it.

        Raises `DefinitionError` for an exception inside a function and for whatever it returns
        that is not a batch of the contract's columns.
        """
        batch = Batch(
            rows=_frame(columns, source),
            instance=definition.instance,
            parameters=definition.parameters,
            _table=table,
            _contract=tuple(columns),
            _reshape=definition.transform.reshape,
            _source=source,
            _output=output,
        )
        for name, function in self._named:
            if not len(batch.rows):
                break
            batch = _call(name, function, batch)
            columns, batch = _typed(name, batch, contract, judges)
        return Applied(
            source=batch._source,
            output=batch._output,
            columns=columns if len(batch.rows) else {c: a.slice(0, 0) for c, a in columns.items()},
            rejected=batch._rejected,
            flagged=batch._flagged,
            filtered=batch._filtered,
            merged=batch._merged,
        )


def _call(name: str, function: Function, batch: Batch) -> Batch:
    try:
        after = function(batch)
        if not isinstance(after, Batch):
            raise DefinitionError(f"it returned {type(after).__name__}, not a Batch")
        if after._table is not batch._table:
            raise DefinitionError("it returned a batch that was not made from the one it was given")
        after.check_rows()
        return after
    except DefinitionError as exc:
        raise DefinitionError(f"function {name}{_place(function, exc)}: {exc}") from exc
    except (HaulierError, MemoryError):
        raise
    except Exception as exc:  # its text may hold cell values
        what = type(exc).__name__
        raise DefinitionError(f"function {name}{_place(function, exc)} raised {what}") from exc


def _place(function: Function, exc: BaseException) -> str:
    """The file and line of the user's code that was running."""
    home = sys.modules.get(getattr(function, "__module__", ""))
    folder = str(Path(getattr(home, "__file__", None) or "/nowhere").parent)
    trace, found = exc.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if str(Path(file).parent) == folder:
            found = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


def _typed(
    name: str, batch: Batch, contract: Contract, judges: Mapping[str, Judge]
) -> tuple[dict[str, Array], Batch]:
    """The batch with every column as the contract has it; rows with a value that does not fit are rejected."""
    names = [column.name for column in contract.columns]
    returned = list(batch.rows.columns)
    for unknown in (column for column in returned if column not in names):
        hint = suggestion(str(unknown), names)
        raise DefinitionError(f"function {name}: column {unknown!r} is not in the contract{hint}")
    if missing := [column for column in names if column not in returned]:
        raise DefinitionError(f"function {name}: its rows lost the contract's {', '.join(missing)}")
    if twice := [column for column in names if returned.count(column) > 1]:
        raise DefinitionError(f"function {name}: its rows have {', '.join(twice)} more than once")
    columns: dict[str, Array] = {}
    findings: list[Finding] = []
    for column in contract.columns:
        try:
            given = pa.array(batch.rows[column.name], from_pandas=True)
            parsed = conformed(given, column)
        except DefinitionError as exc:
            raise DefinitionError(f"function {name}: {exc}") from exc
        except pa.ArrowException as exc:
            raise DefinitionError(
                f"function {name}: column {column.name} mixes types; the contract says {column.pg_type}"
            ) from exc
        columns[column.name] = parsed.values
        findings += judges[column.name].findings(parsed.wrong, given)
    if findings:
        recorded = Recorded(findings=findings, source=batch._source, output=batch._output)
        keep = np.ones(len(batch._source), dtype=bool)
        for one in findings:
            keep[one.at] = False
        batch = replace(batch, _rejected=(*batch._rejected, recorded), **batch._kept(keep))
        columns = {column: array.filter(pa.array(keep)) for column, array in columns.items()}
    return columns, replace(batch, rows=_frame(columns, batch._source))


def _frame(columns: Mapping[str, Array], source: Positions) -> pd.DataFrame:
    arrays = [uuid_text(a) if isinstance(a, pa.ExtensionArray) else a for a in columns.values()]
    return frame_of(pa.table(arrays, names=list(columns)), source)


def _private_package(folder: Path) -> str:
    """A package of its own for the folder, so that its modules may import one another relatively."""
    name = f"_haulier_functions_{hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]}"
    for known in [module for module in sys.modules if module == name or module.startswith(f"{name}.")]:
        del sys.modules[known]
    package = types.ModuleType(name)
    package.__path__ = [str(folder.absolute())]
    sys.modules[name] = package
    importlib.invalidate_caches()
    return name


def _find(name: str, folder: Path, package: str) -> Function:
    module_name, _, function_name = name.rpartition(".")
    where = f"transform.functions: {name!r}"
    local = "." not in module_name and (folder / f"{module_name}.py").is_file()
    try:
        module = importlib.import_module(f"{package}.{module_name}" if local else module_name)
    except ModuleNotFoundError as exc:
        if not local and exc.name is not None and f"{module_name}.".startswith(f"{exc.name}."):
            modules = [path.stem for path in sorted(folder.glob("*.py"))]
            hint = suggestion(module_name, modules, "there are")
            raise DefinitionError(
                f"{where}: there is no {folder / module_name}.py and no installed module {module_name}{hint}"
            ) from exc
        raise DefinitionError(
            f"{where}: {module_name} needs the module {exc.name}, which is not installed"
        ) from exc
    except HaulierError:
        raise
    except Exception as exc:
        at = f", line {exc.lineno}" if isinstance(exc, SyntaxError) else ""
        problem = f"importing {module_name}{at} raised {type(exc).__name__}: {exc}"
        raise DefinitionError(f"{where}: {problem}") from exc
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        hint = suggestion(function_name, known)
        raise DefinitionError(f"{where}: {module_name} has no function {function_name}{hint}")
    return function  # type: ignore[no-any-return]


def _digest(names: Sequence[str], package: str) -> str:
    modules: dict[str, Any] = {key: sys.modules[key] for key in sys.modules if key.startswith(f"{package}.")}
    installed = {name.rpartition(".")[0] for name in names} & set(sys.modules)
    modules |= {key: sys.modules[key] for key in installed if f"{package}.{key}" not in modules}
    digest = hashlib.sha256()
    for key in sorted(modules):
        path = getattr(modules[key], "__file__", None)
        if path is not None:
            digest.update(key.removeprefix(f"{package}.").encode() + b"\0" + Path(path).read_bytes() + b"\0")
    return digest.hexdigest()
