"""`Batch`: the rows a pipeline's functions are given, and what they may do with them.

A function takes a batch and returns one, and depends on nothing else:

    def bmi(batch: Batch) -> Batch:
        \"\"\"Body mass index; rows without a height are rejected.\"\"\"
        batch = batch.reject(batch.rows["height"].isna(), rule="no-height", message="no height, no index")
        square = batch.rows["height"] * batch.rows["height"]
        return batch.assign(bmi=(batch.rows["weight"] * Decimal(10000) / square).round(1))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from haulier.errors import DefinitionError
from haulier.problems import suggestion
from haulier_transform.arrays import Mask, Positions
from haulier_transform.judging import Finding
from haulier_transform.references import References
from haulier_transform.rejects import WHOLE

#: Name of the index: the position of a row's source row in the batch.
SOURCE = "source"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Findings of a function, with the rows and outputs they are about."""

    findings: Sequence[Finding]
    source: Positions
    output: Positions


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """Rows of one batch. Methods return a new batch and leave this one alone.

    ``rows`` has one column per contract column, as Arrow-backed types: ``string``, ``decimal128``
    for every numeric (never a float), ``int16/32/64``, ``date32``, ``timestamp[us, UTC]``,
    ``time64[us]``, ``bool``, ``double``; a uuid and jsonb are strings. Missing values are ``<NA>``.
    Columns read from the source already keep every rule of the contract; ``derived`` ones are
    ``<NA>`` until a function assigns them. The index is named ``source``: the position of the
    row's source row in this batch. It repeats only when one source row gave several rows.

    Decimals are exact, and a product or quotient that might need more than 38 digits is refused:
    narrow its factors with ``.astype(pd.ArrowDtype(pa.decimal128(8, 2)))``, or use
    ``.astype(object)`` and Python's own Decimals. A value with more decimals than the contract
    keeps is rejected and never rounded for you: ``.round(1)`` is the function's decision.

    How rows fall into batches is chance: what a function says of a row may depend on that row, and
    under a declared ``reshape`` on rows that came from its source row, and on nothing else.

    Every method raises `DefinitionError` when it is misused; the message never holds a value.
    """

    rows: pd.DataFrame = field(repr=False)
    #: The instance this runs for, such as a site.
    instance: str = "main"
    #: The instance's parameters, as its definition gives them.
    parameters: Mapping[str, str] = field(default_factory=dict)
    #: The tables of `transform.references`, as `haulier_transform.references.References` has them.
    references: Mapping[str, pd.DataFrame] = field(default_factory=dict, repr=False)
    _table: pa.Table = field(default=None, repr=False)
    _contract: tuple[str, ...] = ()
    _reshape: bool = False
    #: One per row: its source row, as the index must say, and which output of it the row is.
    _source: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)
    _output: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)
    _rejected: tuple[Recorded, ...] = field(default=(), repr=False)
    _flagged: tuple[Recorded, ...] = field(default=(), repr=False)
    _filtered: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    #: Source rows that an output of another source row speaks for.
    _merged: Positions = field(default_factory=lambda: np.zeros(0, dtype=np.int64), repr=False)

    @classmethod
    def of(
        cls,
        rows: pd.DataFrame,
        *,
        source: pd.DataFrame | None = None,
        instance: str = "main",
        parameters: Mapping[str, str] | None = None,
        references: Mapping[str, pd.DataFrame] | None = None,
        reshape: bool = False,
    ) -> Batch:
        """A batch for testing a function: each of ``rows`` is its own source row, ``source`` its text."""
        count = len(rows)
        positions = np.arange(count, dtype=np.int64)
        table = (
            pa.table({"row": positions})
            if source is None
            else pa.Table.from_pandas(source, preserve_index=False)
        )
        return cls(
            rows=rows.set_axis(pd.Index(positions, name=SOURCE), axis=0),
            instance=instance,
            parameters=parameters or {},
            references=References.of(references or {}),
            _table=table,
            _contract=tuple(rows.columns),
            _reshape=reshape,
            _source=positions,
            _output=np.full(count, 0 if reshape else WHOLE, dtype=np.int64),
        )

    @property
    def rejects(self) -> pd.DataFrame:
        """What was rejected so far: source, rule, column, message."""
        return _listed(self._rejected)

    @property
    def flags(self) -> pd.DataFrame:
        """What was flagged so far: source, rule, column, message."""
        return _listed(self._flagged)

    @property
    def source(self) -> pd.DataFrame:
        """All cells of each row's source row as text, under the names of the source's header.

        Aligned with ``rows``; made anew at each call. For what the contract does not promise but a
        function needs, such as a date and a time in two columns. ``<NA>`` is an unquoted empty cell.
        """
        return frame_of(self._table.take(pa.array(self._source)), self._source)

    def reject(self, mask: Any, *, rule: str, column: str | None = None, message: Any) -> Batch:
        """Keep rows out of the target, with a reason people can act on.

        ``mask`` is a boolean Series on the index of ``rows`` (rows it leaves out, and ``<NA>``,
        mean no), or an array of as many values as rows. ``message`` is one text, or a Series of
        texts like the mask.
        """
        chosen = self._mask(mask)
        recorded = (*self._rejected, self._record(chosen, rule, column, message))
        return replace(self, _rejected=recorded, **self._kept(~chosen))

    def flag(self, mask: Any, *, rule: str, column: str | None = None, message: Any) -> Batch:
        """Mark rows as worth a look; they enter the target. Arguments as in `reject`."""
        recorded = (*self._flagged, self._record(self._mask(mask), rule, column, message))
        return replace(self, _flagged=recorded)

    def filter(self, mask: Any, *, reason: str) -> Batch:
        """Drop rows on purpose: they are counted as filtered, with the reason, and kept nowhere."""
        chosen = self._mask(mask)
        count = int(chosen.sum())
        recorded = (*self._filtered, (_text(reason, "reason"), count)) if count else self._filtered
        return replace(self, _filtered=recorded, **self._kept(~chosen))

    def assign(self, **columns: Any) -> Batch:
        """Set contract columns, as `pandas.DataFrame.assign` does.

        A Series must have the index of ``rows``; pandas refuses another one where the index
        repeats and puts ``<NA>`` where it has no such row.
        """
        return replace(self, rows=self.rows.assign(**columns))

    def replace_rows(self, frame: pd.DataFrame, *, sources: pd.Series | None = None) -> Batch:
        """Go on with other rows: a merge, or under a declared ``reshape`` child rows and groups.

        ``frame`` has every contract column and an index named ``source`` that says which source
        row each new row comes from. Without ``reshape: true`` that is each row once, as before. With
        it, rows may repeat; and a row that stands for several source rows names one of them in the
        index, while ``sources`` (a Series: index the source rows, values the one that stands for
        each) names them all. A source row that nothing refers to must be rejected or filtered first.
        """
        if frame.index.name != SOURCE or not pd.api.types.is_integer_dtype(frame.index.dtype):
            raise DefinitionError(
                "the new rows lost the index `source`: keep it, as with reset_index() before a merge and "
                'set_index("source") after it'
            )
        index = frame.index.to_numpy(dtype=np.int64)
        merged = _merged(sources, index)
        if strange := len(np.setdiff1d(np.concatenate([index, merged]), self._source)):
            raise DefinitionError(f"{strange} values of the new rows' index are no source row of this batch")
        if lost := len(np.setdiff1d(self._source, np.concatenate([index, merged]))):
            raise DefinitionError(
                f"{lost} source rows are lost, nothing in the new rows refers to them: reject or filter them first"
            )
        if not self._reshape:
            return replace(self, rows=frame, **self._rearranged(index))
        return replace(
            self,
            rows=frame,
            _source=index,
            _output=self._numbered(index),
            # What was said of an output that is no more now speaks of its whole source row.
            _flagged=tuple(replace(one, output=np.full_like(one.output, WHOLE)) for one in self._flagged),
            _merged=np.union1d(self._merged, merged),
        )

    def _rearranged(self, index: Positions) -> dict[str, Any]:
        if np.array_equal(index, self._source):
            return {}
        order, known = np.argsort(index, kind="stable"), np.argsort(self._source, kind="stable")
        if len(np.unique(index)) < len(index) or len(index) != len(self._source):
            raise DefinitionError(
                f"{len(index)} new rows for {len(self._source)}: to make other rows of the source's, "
                "the definition must say `reshape: true`"
            )
        output = np.empty_like(self._output)
        output[order] = self._output[known]
        return {"_source": index, "_output": output}

    def _numbered(self, index: Positions) -> Positions:
        """Which output of its source row each row is: counted on from those already rejected."""
        order = np.argsort(index, kind="stable")
        ordered = index[order]
        first = np.searchsorted(ordered, ordered)
        output = np.empty(len(index), dtype=np.int64)
        output[order] = np.arange(len(index)) - first
        used = np.full(max(index.max(initial=-1), self._table.num_rows - 1) + 1, -1, dtype=np.int64)
        for recorded in self._rejected:
            for finding in recorded.findings:
                np.maximum.at(used, recorded.source[finding.at], recorded.output[finding.at])
        return output + used[index] + 1

    def _kept(self, keep: Mask) -> dict[str, Any]:
        self.check_rows()
        if keep.all():
            return {}
        return {"rows": self.rows[keep], "_source": self._source[keep], "_output": self._output[keep]}

    def check_rows(self) -> None:
        """Raises `DefinitionError` when rows were taken away or moved behind the batch's back."""
        if not np.array_equal(self.rows.index.to_numpy(), self._source):
            raise DefinitionError(
                f"rows changed in place ({len(self._source)} rows, now {len(self.rows)} or in another order): "
                "use reject, filter or replace_rows, or nobody knows what became of them"
            )

    def _mask(self, mask: Any) -> Mask:
        chosen = self._aligned(mask, "mask")
        if isinstance(chosen, pd.Series):
            if not (pd.api.types.is_bool_dtype(chosen.dtype) or chosen.dtype == object):
                raise DefinitionError(f"the mask must be boolean, not {chosen.dtype}")
            chosen = chosen.fillna(False).to_numpy(dtype=bool) if len(chosen) else np.zeros(0, dtype=bool)
        array = np.asarray(chosen)
        if array.dtype != bool or array.shape != (len(self._source),):
            raise DefinitionError(
                f"the mask must be {len(self._source)} booleans, one per row, not {array.dtype}{array.shape}"
            )
        return array

    def _aligned(self, given: Any, what: str) -> Any:
        if not isinstance(given, pd.Series) or given.index.equals(self.rows.index):
            return given
        if not (self.rows.index.is_unique and given.index.is_unique):
            raise DefinitionError(
                f"the {what} must have the index of the rows: it repeats, so no other can be matched with it"
            )
        return given.reindex(self.rows.index)

    def _record(self, chosen: Mask, rule: str, column: str | None, message: Any) -> Recorded:
        known = (*self._contract, *self._table.column_names)
        if column is not None and column not in known:
            raise DefinitionError(f"column={column!r} is no column{suggestion(column, known)}")
        at = np.flatnonzero(chosen)
        if isinstance(message, pd.Series):
            given = self._aligned(message, "message")[chosen]
            texts = [text if isinstance(text, str) else rule for text in given]
            which = np.arange(len(at), dtype=np.int64)
        else:
            texts, which = [_text(message, "message")], np.zeros(len(at), dtype=np.int64)
        finding = Finding(rule=_text(rule, "rule"), column=column, at=at, which=which, messages=texts)
        return Recorded(findings=[finding], source=self._source, output=self._output)


def frame_of(table: pa.Table, source: Positions) -> pd.DataFrame:
    """The table as Arrow-backed pandas columns, no cell copied."""
    columns = [pd.Series(pd.arrays.ArrowExtensionArray(column)) for column in table.columns]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(table.num_rows))
    frame.columns = pd.Index(table.column_names)
    return frame.set_axis(pd.Index(source, name=SOURCE), axis=0)


def _listed(recorded: Sequence[Recorded]) -> pd.DataFrame:
    rows = [
        (int(one.source[at]), finding.rule, finding.column, finding.messages[which])
        for one in recorded
        for finding in one.findings
        for at, which in zip(finding.at, finding.which, strict=True)
    ]
    return pd.DataFrame(rows, columns=[SOURCE, "rule", "column", "message"])


def _merged(sources: pd.Series | None, index: Positions) -> Positions:
    """The source rows that rows of the index stand for."""
    if sources is None:
        return np.zeros(0, dtype=np.int64)
    stands_for = sources.isin(index)
    named: Sequence[Any] = sources.index[stands_for.to_numpy()]
    return np.unique(np.asarray(named, dtype=np.int64))


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise DefinitionError(f"{what} must be a text that is not empty")
    return value
