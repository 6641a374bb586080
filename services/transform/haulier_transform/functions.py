"""Users' own functions: found, called on one batch after another, and held to what they promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from haulier import modules
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.errors import DefinitionError, HaulierError
from haulier.problems import suggestion
from haulier_transform.arrays import Array, Positions
from haulier_transform.batch import Batch, Recorded, frame_of
from haulier_transform.conform import conformed, uuid_text
from haulier_transform.judging import Finding, Judge
from haulier_transform.references import References

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

    def __init__(
        self,
        named: Sequence[tuple[str, Function]],
        digest: str,
        references: Mapping[str, pd.DataFrame] | None = None,
    ) -> None:
        self._named = tuple(named)
        self._references = References({}) if references is None else references
        #: SHA-256 over the source of the modules they are in, and those of the folder that these import.
        self.digest = digest

    @classmethod
    def load(
        cls, names: Sequence[str], folder: Path, references: Mapping[str, str] | None = None
    ) -> Functions:
        """Import ``module.function`` from ``folder/module.py``, else from an installed package.

        ``references``: what they look things up in, as the definition has sealed it.

        Raises `DefinitionError` for one that is not there or whose module fails.
        """
        loaded = modules.load(names, folder, "transform.functions")
        named = list(zip(names, loaded.functions, strict=True))
        return cls(named, loaded.digest, References(references or {}))

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
            references=self._references,
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
        raise DefinitionError(f"function {name}{modules.place(function, exc)}: {exc}") from exc
    except (HaulierError, MemoryError):
        raise
    except Exception as exc:  # its text may hold cell values
        what = type(exc).__name__
        raise DefinitionError(f"function {name}{modules.place(function, exc)} raised {what}") from exc


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
