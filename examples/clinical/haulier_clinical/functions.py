"""The functions that pipelines name: a batch of what sites sent becomes rows as SDTM keeps them.

`transform.references` names the tables ``tests``, ``units``, ``conversions`` and ``words``, and where there are any
``visits`` and ``limits``. Parameters of an instance, all of them optional:

====================  ======================================================================================
``usubjid``           how USUBJID is made of the row's columns: ``01-{subjid}``; without it, ``{subjid}``
``date_formats``      how dates are written, ``%d-%b-%Y|%d.%m.%Y``; without it, ISO 8601
``time_formats``      how times in a column of their own are written; without it, ``%H:%M|%H:%M:%S``
``decimal_mark``      ``.`` or ``,``
``unit_system``       ``si`` or ``conventional``: which of a test's units is the standard one
``standard_units``    other standard units, test by test: ``HGB mmol/L, MCHC mmol/L``
``units``             the unit of a test whose results come without: ``WEIGHT LB, HEIGHT in``
====================  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa

from haulier.errors import DefinitionError
from haulier.problems import nearest
from haulier_clinical.dates import Moment, read_moment
from haulier_clinical.folding import plain
from haulier_clinical.measuring import Measured, Measuring, Sent
from haulier_clinical.terms import Visit, Visits, Words
from haulier_transform.batch import Batch

T = TypeVar("T")

#: Column of the rows -> what of a measurement it is.
_SENT = {
    "lb": {
        "collected_code": "code",
        "collected_test": "test",
        "collected_specimen": "specimen",
        "lbloinc": "loinc",
        "lbcat": "category",
        "collected_result": "result",
        "collected_operator": "operator",
        "collected_unit": "unit",
        "collected_low": "low",
        "collected_high": "high",
        "collected_range": "both",
        "collected_sex": "sex",
        "collected_status": "status",
        "lbreasnd": "reason",
        "lbspccnd": "condition",
    },
    "vs": {
        "collected_code": "code",
        "collected_test": "test",
        "collected_result": "result",
        "collected_operator": "operator",
        "collected_unit": "unit",
        "collected_status": "status",
        "vsreasnd": "reason",
    },
}
#: Others are a definition's own, such as a placeholder of a path.
_PARAMETERS = (
    "usubjid",
    "date_formats",
    "time_formats",
    "decimal_mark",
    "unit_system",
    "standard_units",
    "units",
)
_NUMBERS = frozenset({"stresn", "stnrlo", "stnrhi"})
_NUMERIC = pa.decimal128(38, 18)


def lb(batch: Batch) -> Batch:
    """Laboratory results: one row a test of a specimen."""
    return _findings(batch, "lb")


def vs(batch: Batch) -> Batch:
    """Vital signs: one row a measurement."""
    return _findings(batch, "vs")


def _findings(batch: Batch, domain: str) -> Batch:
    for name in batch.parameters:
        if name not in _PARAMETERS and (near := nearest(name, _PARAMETERS, 0.8)) is not None:
            raise DefinitionError(f"parameter {name} is none that is read here; did you mean {near}?")
    batch = _named(_dated(batch, f"{domain}dtc"), domain)
    if not len(batch.rows):
        return batch
    batch = _visited(_identified(batch))
    timepoint = [plain(text).upper() for text in _texts(batch, "collected_timepoint")]
    batch = _assigned(batch, {f"{domain}tpt": _text(timepoint)})
    measure = Measuring(batch.references, batch.parameters, domain.upper())
    return _measured(_positioned(batch, measure.words), domain, measure)


def _measured(batch: Batch, domain: str, measure: Measuring) -> Batch:
    names = _SENT[domain]
    batch, sent = _divided(batch, names, domain, measure)
    made, at = _distinct(sent, measure)
    columns = {
        f"{domain}{name}": _column(
            [getattr(one, name) for one in made], at, _NUMERIC if name in _NUMBERS else None
        )
        for name in Measured.__dataclass_fields__
        if name != "odd"
    }
    batch = _assigned(batch, columns)
    places = {about: column for column, about in names.items()}
    odd: dict[tuple[str, str], dict[int, str]] = {}
    for number, one in enumerate(made):
        for what in one.odd:
            odd.setdefault((what.rule, places[what.about]), {})[number] = what.message
    for (rule, column), messages in odd.items():
        which = np.isin(at, np.fromiter(messages, dtype=np.int64))
        said = pd.Series([messages.get(number, rule) for number in at.tolist()], index=batch.rows.index)
        batch = batch.flag(which, rule=rule, column=_place(batch, column, domain), message=said)
    return batch


def _divided(
    batch: Batch, names: Mapping[str, str], domain: str, measure: Measuring
) -> tuple[Batch, Sequence[Sent]]:
    """What each row says; of one whose cell holds the results of several tests (``120/80``) a row for each."""
    of_column = {about: _texts(batch, column) for column, about in names.items()}
    nothing = [""] * len(batch.rows)
    rows = list(map(Sent, *(of_column.get(about, nothing) for about in Sent._fields)))
    if not any(map(measure.divides, rows)):
        return batch, rows
    made, at = _distinct(rows, measure.divided)
    wrong = np.array([bool(one.problem) for one in made], dtype=bool)[at]
    said = pd.Series([made[number].problem or "divided" for number in at.tolist()], index=batch.rows.index)
    column = _known(batch, "collected_result", f"{domain}testcd")
    batch, at = batch.reject(wrong, rule="parts-unreadable", column=column, message=said), at[~wrong]
    counts = np.array([len(one.sent) for one in made], dtype=np.int64)[at]
    if (counts > 1).any():
        batch = batch.replace_rows(batch.rows.iloc[np.repeat(np.arange(len(at)), counts)])
    return batch, [sent for number in at.tolist() for sent in made[number].sent]


def _place(batch: Batch, column: str, domain: str) -> str:
    """The column itself; where the contract leaves it out, the result."""
    return column if column in batch.rows.columns else f"{domain}testcd"


def _dated(batch: Batch, column: str) -> Batch:
    """--DTC. A row whose date cannot be read is rejected: the date is part of its key."""
    formats = _listed(batch, "date_formats", "iso")
    clocks = _listed(batch, "time_formats", "%H:%M|%H:%M:%S")
    cells = zip(_texts(batch, "collected_date"), _texts(batch, "collected_time"), strict=True)
    words = Words(batch.references)
    made, at = _distinct(
        cells,
        lambda pair: read_moment(pair[0], pair[1], formats, clocks, lambda name: words.find("month", name)),
    )
    batch = _assigned(batch, {column: _column([one.text for one in made], at)})
    unknown = np.array([not one.text and not one.problem for one in made], dtype=bool)[at]
    text = "nothing is known of its date"
    batch = batch.flag(
        unknown, rule="date-unknown", column=_known(batch, "collected_date", column), message=text
    )
    for source, is_time in (("collected_date", False), ("collected_time", True)):
        batch, at = _unreadable(batch, made, at, _known(batch, source, column), is_time)
    return batch


def _unreadable(
    batch: Batch, made: Sequence[Moment], at: np.ndarray[Any, Any], column: str, is_time: bool
) -> tuple[Batch, np.ndarray[Any, Any]]:
    wrong = np.array([bool(one.problem) and one.in_time == is_time for one in made], dtype=bool)[at]
    said = pd.Series([made[number].problem or "read" for number in at.tolist()], index=batch.rows.index)
    return batch.reject(wrong, rule="date-unreadable", column=column, message=said), at[~wrong]


def _identified(batch: Batch) -> Batch:
    """USUBJID, by the parameter's template."""
    template = batch.parameters.get("usubjid", "{subjid}")
    names = [name for name in ("studyid", "siteid", "subjid") if name in batch.rows.columns]

    def filled(row: tuple[str, ...]) -> str:
        try:
            return template.format_map({**dict(zip(names, row, strict=True)), "instance": batch.instance})
        except (KeyError, ValueError, IndexError) as exc:
            known = ", ".join(f"{{{name}}}" for name in (*names, "instance"))
            raise DefinitionError(
                f"parameter usubjid: {template!r} names something else than {known}"
            ) from exc

    made, at = _distinct(zip(*(_texts(batch, name) for name in names), strict=True), filled)
    return _assigned(batch, {"usubjid": _column(made, at)})


def _named(batch: Batch, domain: str) -> Batch:
    """Rows that say which test they are about; one that does not would be taken for another."""
    columns = [column for column, about in _SENT[domain].items() if about in ("code", "test", "loinc")]
    names = zip(*(_texts(batch, column) for column in columns), strict=True)
    unnamed = np.array([not any(map(plain, row)) for row in names], dtype=bool)
    text = "neither a code nor a name says which test it is"
    return batch.reject(
        unnamed, rule="test-missing", column=_known(batch, "collected_test", f"{domain}testcd"), message=text
    )


def _visited(batch: Batch) -> Batch:
    """VISITNUM and VISITDY; 0 and a flag for a visit that nobody knows."""
    visits = Visits(batch.references)
    cells = zip(_texts(batch, "visit"), _texts(batch, "collected_visitnum"), strict=True)
    made, at = _distinct(cells, lambda pair: (pair[0], visits.find(*pair)))
    found: list[Visit | None] = [visit for _, visit in made]
    names = [visit.visit if visit and visit.visit else name or None for name, visit in made]
    number = pa.decimal128(8, 2)
    batch = _assigned(
        batch,
        {
            "visit": _column(names, at),
            "visitnum": _column([visit.visitnum if visit else Decimal(0) for visit in found], at, number),
            "visitdy": _column([visit.visitdy if visit else None for visit in found], at, pa.int64()),
        },
    )
    unknown = np.array([visit is None for visit in found], dtype=bool)[at]
    text = "the visit has no number, and its name is in no reference; it is kept as visit 0"
    return batch.flag(unknown, rule="visit-unknown", column=_known(batch, "visit", "visitnum"), message=text)


def _positioned(batch: Batch, words: Words) -> Batch:
    """VSPOS, where the contract has it."""
    if "vspos" not in batch.rows.columns:
        return batch
    texts = zip(_texts(batch, "collected_position"), strict=True)
    made, at = _distinct(texts, lambda one: (words.find("position", one[0]), plain(one[0]).upper()))
    batch = _assigned(batch, {"vspos": _column([term or text for term, text in made], at)})
    unknown = np.array([bool(text) and not term for term, text in made], dtype=bool)[at]
    said = "the position is not among the reference words; it is kept as sent"
    column = _known(batch, "collected_position", "vspos")
    return batch.flag(unknown, rule="position-unknown", column=column, message=said)


def _listed(batch: Batch, name: str, default: str) -> list[str]:
    return [form.strip() for form in batch.parameters.get(name, default).split("|") if form.strip()]


def _texts(batch: Batch, column: str) -> list[str]:
    """The column's texts, empty where there is none or where the contract leaves it out."""
    if column not in batch.rows.columns:
        return [""] * len(batch.rows)
    texts: list[str] = batch.rows[column].fillna("").astype(object).tolist()
    return texts


def _known(batch: Batch, column: str, otherwise: str) -> str:
    return column if column in batch.rows.columns else otherwise


def _distinct(
    cells: Iterable[Hashable], make: Callable[[Any], T]
) -> tuple[list[T], np.ndarray[Any, np.dtype[np.int64]]]:
    """What becomes of each distinct cell, and which of these each row has: files repeat themselves a great deal."""
    numbers: dict[Hashable, int] = {}
    at = np.fromiter((numbers.setdefault(cell, len(numbers)) for cell in cells), dtype=np.int64)
    return [make(cell) for cell in numbers], at


def _column(values: Sequence[Any], at: np.ndarray[Any, Any], kind: pa.DataType | None = None) -> pa.Array:
    return pa.array(values, kind or pa.string()).take(pa.array(at))


def _text(values: Sequence[str]) -> pa.Array:
    return pa.array(values, pa.string())


def _assigned(batch: Batch, columns: Mapping[str, pa.Array]) -> Batch:
    """Those of the columns that the contract has."""
    known = {
        name: pd.Series(pd.arrays.ArrowExtensionArray(values), index=batch.rows.index)
        for name, values in columns.items()
        if name in batch.rows.columns
    }
    return batch.assign(**known)
