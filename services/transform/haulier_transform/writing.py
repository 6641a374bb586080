"""Where a batch's rows, rejects and flags go: three streams of parts, and the accounts that close over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from haulier import rows
from haulier.errors import DataError
from haulier.exchange import Exchange
from haulier.framing import Whole
from haulier.keys import RunKeys
from haulier.manifest import Manifest, Part, SourceAccount
from haulier.parts import PartWriter
from haulier_transform.arrays import of_bytes, of_numbers, of_texts
from haulier_transform.canonical import Result
from haulier_transform.rejects import Rejects, output_column

#: Rejects written together: 64 KiB of verbatim text each at the most.
_REJECTS_AT_ONCE = 2_000

#: A row as the file has it; and where, when a reject keeps only its beginning.
Record = tuple[bytes, Whole | None]
#: Place of a delivery, ascending numbers of rows -> those rows.
Verbatim = Callable[[int, Sequence[int]], list[Record]]


class Written:
    """What one attempt wrote and counted so far."""

    def __init__(
        self, exchange: Exchange, keys: RunKeys, parent: Manifest, attempt: str, verbatim: Verbatim
    ) -> None:
        def writer(schema: pa.Schema, kind: str) -> PartWriter:
            return PartWriter(exchange, keys, "transform", attempt, schema, kind=kind)

        self._parent = parent
        self._canonical = writer(rows.canonical_schema(parent.contract), "part")
        self._rejects = writer(rows.REJECT_SCHEMA, "reject")
        self._flags = writer(rows.FLAG_SCHEMA, "flag")
        self._verbatim = verbatim
        self._counts = {
            name: np.zeros(len(parent.deliveries), dtype=np.int64) for name in ("all", "in", "out")
        }
        self._notes: dict[str, None] = dict.fromkeys(parent.notes)
        self._filtered: Counter[str] = Counter()
        self._rules: Counter[str] = Counter(parent.rules)
        self.rejected_outputs = 0

    def note(self, notes: Sequence[str]) -> None:
        """What a person should know that is in no batch."""
        self._notes.update(dict.fromkeys(notes))

    def add(self, result: Result) -> None:
        """Write one batch."""
        self._canonical.write(result.canonical)
        self._write_rejects(result)
        self._write_flags(result)
        for name, delivery in (
            ("all", result.delivery),
            ("in", result.delivery[result.accepted]),
            ("out", result.delivery[result.rejected]),
        ):
            self._counts[name] += np.bincount(delivery, minlength=len(self._parent.deliveries))
        self.note(result.notes)
        self._filtered.update(result.filtered)
        self._rules.update(reason.rule for reason in result.rejects.reasons)
        self._rules.update(result.flags.rule)
        self.rejected_outputs += result.rejected_outputs

    def close(self) -> tuple[tuple[Part, ...], tuple[Part, ...], tuple[Part, ...]]:
        """Put what is left; canonical parts, rejects, flags."""
        return self._canonical.close(), self._rejects.close(), self._flags.close()

    def accounts(self) -> tuple[SourceAccount, ...]:
        """The final source account of every delivery. Raises `DataError` when rows of it are missing."""
        return tuple(self._account(account) for account in self._parent.accounts)

    def _account(self, extracted: SourceAccount) -> SourceAccount:
        places = [d.delivery_id for d in self._parent.deliveries]
        place = places.index(extracted.delivery_id)
        seen, accepted, rejected = (int(self._counts[name][place]) for name in ("all", "in", "out"))
        if seen != extracted.accepted:
            raise DataError(
                f"{self._parent.deliveries[place].logical_name}: extract handed on {extracted.accepted} rows "
                f"and its parts hold {seen}; open a new generation with extract --reprocess"
            )
        return SourceAccount(
            delivery_id=extracted.delivery_id,
            read=extracted.read,
            accepted=accepted,
            filtered=extracted.filtered + seen - accepted - rejected,
            rejected=extracted.rejected + rejected,
            stripped=extracted.stripped,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """In the order they first came up."""
        return tuple(self._notes)

    @property
    def filtered(self) -> dict[str, int]:
        return dict(sorted(self._filtered.items()))

    @property
    def rules(self) -> dict[str, int]:
        return dict(sorted(self._rules.items()))

    def _write_rejects(self, result: Result) -> None:
        for start in range(0, len(result.rejects), _REJECTS_AT_ONCE):
            some = slice(start, start + _REJECTS_AT_ONCE)
            self._rejects.write(self._reject_table(result, some))

    def _reject_table(self, result: Result, some: slice) -> pa.Table:
        rejects: Rejects = result.rejects
        source, reasons = rejects.source[some], rejects.reasons[some]
        delivery, row = result.delivery[source], result.row[source]
        verbatim = self._verbatim_rows(delivery, row)
        return pa.Table.from_arrays(
            [
                of_numbers(delivery),
                of_numbers(row),
                output_column(rejects.output[some]),
                of_texts(["transform"] * len(reasons)),
                of_texts([reason.rule for reason in reasons]),
                of_texts([reason.column for reason in reasons]),
                of_texts([reason.message for reason in reasons]),
                of_texts(
                    [
                        reason.problems if whole is None else whole.beside(reason.problems)
                        for reason, (_, whole) in zip(reasons, verbatim, strict=True)
                    ]
                ),
                of_bytes([record[: rows.VERBATIM_BYTES] for record, _ in verbatim]),
                of_numbers(np.array([len(record) for record, _ in verbatim], dtype=np.int64)),
            ],
            schema=rows.REJECT_SCHEMA,
        )

    def _verbatim_rows(self, delivery: NDArray[np.int32], row: NDArray[np.int64]) -> list[Record]:
        """The record of each row; outputs of one row share theirs."""
        found: list[Record] = [(b"", None)] * len(row)
        for place in dict.fromkeys(delivery.tolist()):
            at = np.flatnonzero(delivery == place)
            numbers, which = np.unique(row[at], return_inverse=True)
            records = self._verbatim(place, numbers.tolist())
            for position, number in zip(at.tolist(), which.tolist(), strict=True):
                found[position] = records[number]
        return found

    def _write_flags(self, result: Result) -> None:
        flags = result.flags
        self._flags.write(
            pa.Table.from_arrays(
                [
                    of_numbers(result.delivery[flags.source]),
                    of_numbers(result.row[flags.source]),
                    output_column(flags.output),
                    of_texts(flags.rule),
                    of_texts(flags.column),
                    of_texts(flags.message),
                    of_bytes(flags.line),
                ],
                schema=rows.FLAG_SCHEMA,
            )
        )
