"""One batch of source text to canonical rows, rejects and flags: everything but reading and writing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier import rows
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.errors import DefinitionError
from haulier.manifest import Delivery
from haulier_transform import kernels as pc
from haulier_transform.arrays import Array, Mask, Positions, beside, numbers_of, of_numbers, of_texts
from haulier_transform.drift import Drifting
from haulier_transform.given import given
from haulier_transform.header import Header, match
from haulier_transform.judging import Finding, Judge, Judged
from haulier_transform.pivot import Pivoting
from haulier_transform.rejects import WHOLE, Flags, Rejects, output_column
from haulier_transform.replaying import Replaying
from haulier_transform.reshape import along, unpivot
from haulier_transform.rules import one_of

if TYPE_CHECKING:
    from haulier_transform.functions import Functions


#: (rows, the columns that these have to fill)
Waiver = tuple[Mask, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Typed rows on their way to the target, and the source row of each."""

    source: Positions
    #: Which output of its source row each is; `WHOLE` without a reshape.
    output: Positions
    columns: Mapping[str, Array]

    def taken(self, at: Positions) -> Outputs:
        places = of_numbers(at)
        columns = {name: pc.take(array, places) for name, array in self.columns.items()}
        return Outputs(source=self.source[at], output=self.output[at], columns=columns)

    def without(self, at: Positions) -> Outputs:
        return self.taken(beside(len(self.source), at)) if len(at) else self


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of a batch. Every source row is accepted, rejected or filtered: exactly one of them."""

    #: Position of each source row's delivery, and its number there.
    delivery: NDArray[np.int32]
    row: NDArray[np.int64]
    canonical: pa.Table
    rejects: Rejects
    flags: Flags
    accepted: Mask
    rejected: Mask
    notes: Sequence[str]
    #: Reason -> rows dropped on purpose.
    filtered: Counter[str]

    @property
    def rejected_outputs(self) -> int:
        return int((self.rejects.output != WHOLE).sum())


class Canonical:
    """Makes canonical rows of batches. Raises `DefinitionError` for rules that cannot be applied."""

    def __init__(
        self,
        definition: Instance,
        contract: Contract,
        deliveries: Sequence[Delivery],
        functions: Functions | None = None,
    ) -> None:
        self._definition, self._contract, self._deliveries = definition, contract, deliveries
        self._functions = functions
        self._unpivot = definition.transform.unpivot
        self._pivoting = Pivoting(definition.transform.pivot) if definition.transform.pivot else None
        self._reshapes = bool(self._unpivot or self._pivoting) or definition.transform.reshape
        of_events = definition.source.sends_events
        self._judges = {
            column.name: Judge(column, definition.transform, of_events=of_events)
            for column in contract.columns
        }
        self._drift = Drifting(contract, definition.transform, self._judges)
        self._gathers = contract.gathering.name if contract.gathering else None
        marker = contract.marker
        #: Which values of the marker say what, and the columns that such a row has to fill.
        self._marks = (
            [
                (one_of(marker, marker.deletes or ()), contract.identifying),
                *(
                    [(one_of(marker, marker.truncates), contract.identifying - {*contract.key})]
                    if marker.truncates
                    else ()
                ),
            ]
            if marker
            else []
        )
        self._schema = rows.canonical_schema(contract)
        self._given = given(definition.transform, self._judges)
        self._headers: dict[tuple[str, ...], Header] = {}
        self._replaying = Replaying(deliveries)
        if self._replaying and self._pivoting:
            raise DefinitionError(
                "transform.pivot brings all rows of a group together, and a replay brings single ones; haul the run again with "
                "--reprocess"
            )

    def batch(self, table: pa.Table) -> Result:
        """Raises `DefinitionError` for a header that is ambiguous, `DataError` for one that the definition stops at, and
        what functions raise."""
        delivery = numbers_of(table.column(rows.DELIVERY).combine_chunks())
        row = numbers_of(table.column(rows.ROW).combine_chunks())
        text = table.drop_columns([rows.DELIVERY, rows.ROW])
        rejects, flags, filtered = Rejects(), Flags(), Counter[str]()
        pivoted, unread = None, list[str]()
        if self._pivoting is not None:
            unread = self._unread(text, delivery)
            pivoted = self._pivoting.pivoted(text, delivery, row)
            text, filtered = pivoted.text, pivoted.filtered
        header, notes = self._header(text, delivery)
        outputs = self._outputs(text, header, rejects, flags, filtered)
        merged = np.zeros(0, dtype=np.int64)
        if self._functions is not None and len(outputs.source):
            outputs, merged = self._applied(self._functions, text, outputs, rejects, flags, filtered)
        odd = {name: judge.implausible(outputs.columns[name]) for name, judge in self._judges.items()}
        flags.add(self._waived(odd, self._waivers(outputs.columns)), outputs.source, outputs.output)
        reached = np.zeros(text.num_rows, dtype=bool)
        for known in (outputs.source, rejects.source, merged):
            reached[known] = True
        if pivoted is not None:
            outputs = replace(outputs, source=pivoted.stands[outputs.source])
            rejects.source, flags.source = pivoted.stands[rejects.source], pivoted.stands[flags.source]
            # The row that stands for a group speaks for all its rows.
            reached = np.append(reached, False)[pivoted.group]
            rejects.add(pivoted.findings, np.arange(len(row)), np.full(len(row), WHOLE, dtype=np.int64))
        if self._replaying:
            self._replaying.spread(rejects, delivery, row)
            outputs = outputs.taken(
                np.flatnonzero(self._replaying.is_hauled(delivery, row, outputs.source, outputs.output))
            )
        rejects = rejects.ordered(self._replaying.is_hauled(delivery, row, rejects.source, rejects.output))
        rejected = np.zeros(len(row), dtype=bool)
        rejected[rejects.source[rejects.output == WHOLE]] = True
        return Result(
            delivery=delivery,
            row=row,
            canonical=self._table(delivery, row, outputs),
            rejects=rejects,
            flags=flags.ordered(_entered(flags, outputs), text, None if pivoted is None else pivoted.group),
            accepted=reached & ~rejected,
            rejected=rejected,
            notes=[*unread, *notes],
            filtered=filtered,
        )

    def header(self, place: int, columns: Sequence[str]) -> list[str]:
        """What a person should know of the header of a delivery without a row, whose types say nothing. Raises as `batch`."""
        delivery, notes = np.array([place], dtype=np.int32), list[str]()
        kind = pa.null() if self._pivoting is None else pa.string()
        text = pa.schema([pa.field(name, kind) for name in columns]).empty_table()
        if self._pivoting is not None:
            notes = self._unread(text, delivery)
            text = self._pivoting.pivoted(text, delivery[:0], np.zeros(0, dtype=np.int64)).text
        return [*notes, *self._header(text, delivery)[1]]

    def _unread(self, text: pa.Table, delivery: NDArray[np.int32]) -> list[str]:
        """What a pivot does not find, or does not read."""
        assert self._pivoting is not None
        return [
            note for name in self._names(delivery) for note in self._pivoting.notes(text.column_names, name)
        ]

    def _names(self, delivery: NDArray[np.int32]) -> list[str]:
        return [
            self._deliveries[place].logical_name for place in np.flatnonzero(np.bincount(delivery)).tolist()
        ]

    def _header(self, text: pa.Table, delivery: NDArray[np.int32]) -> tuple[Header, list[str]]:
        names = self._names(delivery)
        key = tuple(text.column_names)
        if key not in self._headers:
            try:
                self._headers[key] = match(key, self._contract, self._definition.transform)
            except DefinitionError as exc:
                raise DefinitionError(f"{', '.join(names)}: {exc}") from exc
        header, policy = self._headers[key], self._definition.transform.drift
        self._drift.stop(header, text.schema, ", ".join(names))
        return header, [note for name in names for note in header.notes(name, policy.new_column)]

    def _outputs(
        self, text: pa.Table, header: Header, rejects: Rejects, flags: Flags, filtered: Counter[str]
    ) -> Outputs:
        """The typed rows that keep every rule of the columns read from the source."""
        count = text.num_rows
        # What is wrong with a group is wrong with one output, not with the row that stands for it.
        whole = np.full(count, 0 if self._pivoting else WHOLE, dtype=np.int64)
        everything = np.arange(count, dtype=np.int64)
        judged = {}
        for name, judge in self._judges.items():
            if judge.column.derived or name in self._given.labels or self._is_unpivoted(name):
                continue
            if name == self._gathers:
                judged[name] = self._drift.kept(text, header)
                continue
            if name in self._given.constants:
                judged[name] = judge.cells(self._given.constant(name, count))
                continue
            place = header.columns.get(name)
            judged[name] = judge.missing(count) if place is None else judge.cells(text.column(place))
        marker = self._contract.marker
        marked = (
            {marker.name: judged[marker.name].take(everything)} if marker and marker.name in judged else {}
        )
        waivers = self._waivers(marked)
        flags.add(self._waived({name: one.flags for name, one in judged.items()}, waivers), everything, whole)
        found = {name: list(one.problems) for name, one in judged.items()}
        for name, drifted in self._drift.findings(text, header).items():
            found.setdefault(name, []).extend(drifted)
        problems = self._waived(found, waivers)
        keep = beside(count, rejects.add(problems, everything, whole))
        if self._unpivot is None:
            source = keep
            output = np.zeros(len(keep), dtype=np.int64) if self._reshapes else whole[: len(keep)]
        else:
            values = self._judges[self._unpivot.values_to]
            keeping = {name: self._judges[name] for name in self._unpivot.keep_empty}
            unpivoted = unpivot(text, header, keep, values, keeping)
            source, output = unpivoted.source, unpivoted.output
            cells = {self._unpivot.values_to: values.cells(unpivoted.cells)}
            for name, constants in self._given.along.items():
                cells[name] = self._judges[name].cells(along(text, header, unpivoted, name, constants))
            ordered = [cells[name] for name in self._judges if name in cells]
            bad = rejects.add([one for found in ordered for one in found.problems], source, output)
            flags.add([one for found in ordered for one in found.flags], source, output)
            if empty := len(keep) - int(np.count_nonzero(np.bincount(source, minlength=count))):
                filtered["no value in any unpivoted column"] += empty
        columns = {}
        for name, judge in self._judges.items():
            if name in judged:
                columns[name] = judged[name].take(source)
            elif name in self._given.labels:
                columns[name] = pc.take(self._given.labels[name], of_numbers(output))
            elif self._is_unpivoted(name):
                columns[name] = cells[name].take(np.arange(len(source), dtype=np.int64))
            else:
                columns[name] = judge.nothing(len(source))
        if self._contract.keeping:
            columns[rows.UNCHANGED] = self._unchanged(judged, waivers, source, count)
        outputs = Outputs(source=source, output=output, columns=columns)
        return outputs if self._unpivot is None else outputs.without(bad)

    def _applied(
        self,
        functions: Functions,
        text: pa.Table,
        outputs: Outputs,
        rejects: Rejects,
        flags: Flags,
        filtered: Counter[str],
    ) -> tuple[Outputs, Positions]:
        """What functions made of the rows, judged again: a function may have changed any column."""
        source, waivers = outputs.source, self._waivers(outputs.columns)
        applied = functions.apply(
            text,
            outputs.columns,
            outputs.source,
            outputs.output,
            definition=self._definition,
            contract=self._contract,
            judges=self._judges,
        )
        for recorded in applied.rejected:
            rejects.add(recorded.findings, recorded.source, recorded.output)
        for recorded in applied.flagged:
            findings = recorded.findings
            for mask, filled in waivers:
                gone = np.zeros(text.num_rows, dtype=bool)
                gone[source[mask]] = True
                findings = [
                    one if one.column in filled else one.beside(gone[recorded.source]) for one in findings
                ]
            flags.add(findings, recorded.source, recorded.output)
        for reason, count in applied.filtered:
            filtered[reason] += count
        outputs = Outputs(source=applied.source, output=applied.output, columns=applied.columns)
        outputs = outputs.taken(np.lexsort((outputs.output, outputs.source)))
        broken = {name: judge.typed(outputs.columns[name]) for name, judge in self._judges.items()}
        problems = self._waived(broken, self._waivers(outputs.columns))
        bad = rejects.add(problems, outputs.source, outputs.output)
        return outputs.without(bad), applied.merged

    def _waivers(self, columns: Mapping[str, Array]) -> list[Waiver]:
        """Which rows only say that a key, or every row, is gone, and the columns they have to fill."""
        marker = self._contract.marker
        if marker is None or marker.name not in columns:
            return []
        return [(marks(columns[marker.name]), filled) for marks, filled in self._marks]

    def _waived(self, findings: Mapping[str, Sequence[Finding]], waivers: Sequence[Waiver]) -> list[Finding]:
        """Findings by column, without those about what a deletion need not say."""
        waived = []
        for name, found in findings.items():
            for finding in found:
                for mask, filled in waivers:
                    finding = finding if name in filled else finding.beside(mask)
                waived.append(finding)
        return waived

    def _unchanged(
        self, judged: Mapping[str, Judged], waivers: Sequence[Waiver], source: Positions, count: int
    ) -> Array:
        """Of each row the columns that keep what the table has; a row that deletes keeps none."""
        names = [column.name for column in self._contract.keeping]
        kept = np.stack([judged[name].kept(count) for name in names], axis=1)
        for mask, _ in waivers:
            kept[mask] = False
        combinations, which = np.unique(kept[source], axis=0, return_inverse=True)
        texts = [
            json.dumps([name for name, is_kept in zip(names, one, strict=True) if is_kept])
            if any(one)
            else None
            for one in combinations.tolist()
        ]
        return pc.take(of_texts(texts), of_numbers(which.reshape(-1).astype(np.int64)))

    def _table(self, delivery: NDArray[np.int32], row: NDArray[np.int64], outputs: Outputs) -> pa.Table:
        placed = [of_numbers(delivery[outputs.source]), of_numbers(row[outputs.source])]
        system = [*placed, output_column(outputs.output)]
        return pa.Table.from_arrays(
            [*system, *(outputs.columns[name] for name in self._schema.names[len(system) :])],
            schema=self._schema,
        )

    def _is_unpivoted(self, name: str) -> bool:
        return self._unpivot is not None and (name == self._unpivot.values_to or name in self._given.along)


def _entered(flags: Flags, outputs: Outputs) -> Mask:
    """Which flags are about a row that entered; one about a source row is about all its outputs."""
    size = max(flags.source.max(initial=0), outputs.source.max(initial=0)) + 1
    width = max(flags.output.max(initial=0), outputs.output.max(initial=0)) + 2
    exact = np.isin(flags.source * width + flags.output + 1, outputs.source * width + outputs.output + 1)
    by_row = np.zeros(size, dtype=bool)
    by_row[outputs.source] = True
    entered: Mask = exact | ((flags.output == WHOLE) & by_row[flags.source])
    return entered
