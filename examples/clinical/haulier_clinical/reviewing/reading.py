"""One trial at one moment: what its sections ask PostgreSQL, of columns that are not blinded and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from psycopg2 import sql

from haulier.errors import DefinitionError
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.loading import PipelineFile, load_pipelines
from haulier.settings import Settings
from haulier_clinical.exporting.blinding import blinded_columns, contracts_behind
from haulier_clinical.exporting.datasets import LABELS
from haulier_clinical.exporting.reading import Position, Relation, positions, relations, the_study
from haulier_clinical.reviewing.planned import soft_limits

LEDGER = queries("haulier_clinical.reviewing", "ledger.sql")
SDTM = queries("haulier_clinical.reviewing", "sdtm.sql")
#: The domains of results, DM beside them.
FINDINGS = tuple(domain for domain in LABELS if domain != "DM")
#: What a section may ask of DM, and under which name.
_OF_DM = {
    "usubjid": "usubjid",
    "siteid": "siteid",
    "sex": "sex",
    "rfstdtc": "start",
    "rficdtc": "consent",
    "rfpendtc": "ended",
    "dthdtc": "died",
}
#: What a section may ask of results; of most, the name goes on behind the domain's two letters.
_OF_FINDINGS = {
    **{name: name for name in ("usubjid", "sex", "visit", "visitnum", "visitdy")},
    "siteid": "said_site",
    **{
        f"--{name}": name
        for name in (
            *("testcd", "test", "spec", "pos", "tpt", "orres", "orresu", "stresn", "stresu"),
            *("nrind", "stat", "dtc"),
        )
    },
}
_NUMBERS = {"stresn": "numeric", "visitnum": "numeric", "visitdy": "integer"}
_DAYS = frozenset({"start", "consent", "ended", "died"})
#: Whoever left in November was there on no day of December.
_ENDS = frozenset({"ended", "died"})

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a review is asked to be."""

    as_of: datetime
    schema: str = "sdtm"
    study: str | None = None
    #: Days of the site board.
    days: int = 30
    #: A result is in time when it is loaded so many days after its collection.
    within_days: int = 3
    #: A visit is overdue so many days after the planned one.
    window_days: int = 7
    #: A query is overdue when it is open for longer.
    overdue_after_days: int = 7
    visits: Path | None = None

    @property
    def today(self) -> date:
        return self.as_of.date()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Answers questions about one trial, all of one snapshot."""

    cursor: Cursor = field(repr=False)
    settings: Settings = field(repr=False)
    asked: Asked

    @cached_property
    def pipelines(self) -> Mapping[str, PipelineFile]:
        return load_pipelines(self.settings.definitions)

    @cached_property
    def relations(self) -> Mapping[str, Relation]:
        """Domain -> where its rows are; nothing where no model was built yet."""
        try:
            return {one.domain: one for one in relations(self.cursor, self.asked.schema)}
        except DefinitionError:
            if self.asked.study is not None:
                raise
            return {}

    @cached_property
    def study(self) -> str | None:
        """None: there is no row yet. Raises `DefinitionError` where several are to choose from."""
        found = list(self.relations.values())
        if not found:
            return None
        if self.asked.study is None:
            union = sql.SQL(" UNION ALL ").join(
                sql.SQL("SELECT EXISTS (SELECT FROM {})").format(one.identifier) for one in found
            )
            self.cursor.execute(union)
            if not any(there for (there,) in self.cursor.fetchall()):
                return None
        return the_study(self.cursor, found, self.asked.study)

    @cached_property
    def positions(self) -> Mapping[str, Position]:
        return positions(self.cursor, list(self.relations.values())) if self.relations else {}

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """Of results, as far as they are there."""
        return tuple(domain for domain in FINDINGS if domain in self.relations) if self.study else ()

    @property
    def has_subjects(self) -> bool:
        return self.study is not None and "DM" in self.relations

    @cached_property
    def _blinded(self) -> Mapping[str, frozenset[str]]:
        """Relation -> the columns that nobody is shown. Raises `DefinitionError` where nobody says which."""
        found = list(self.relations.values())
        contracts = contracts_behind(self.settings.definitions, found)
        return {one.domain: blinded_columns(contracts, one) for one in found}

    @property
    def blinded(self) -> list[str]:
        """What is left out for being blinded, in SDTM's capitals."""
        return sorted({column.upper() for columns in self._blinded.values() for column in columns})

    def ledger(self, name: str, **values: Any) -> list[Row]:
        """The rows of one of the ledger's questions."""
        return self._rows(LEDGER[name], values)

    def sdtm(self, name: str, domain: str | None = None, **values: Any) -> list[Row]:
        """The rows of one of the questions to SDTM, asked of a domain."""
        places = {"dm": self._subjects()} if "{dm}" in SDTM[name] else {}
        if domain:
            places["rows"] = self._rows_of(name, domain)
        return self._rows(sql.SQL(SDTM[name]).format(**places), values)

    def _rows_of(self, name: str, domain: str) -> sql.Composable:
        if name == "lateness":
            return self._with_site(self._landed(domain))
        return self._subjects() if domain == "DM" else self._with_site(self._findings(domain))

    def _with_site(self, rows: sql.Composable) -> sql.Composable:
        """Where results themselves say no site, it is the one that DM has of their subject."""
        return sql.SQL(
            "(SELECT f.*, coalesce(f.said_site, d.siteid, '?') AS siteid FROM {} AS f"
            " LEFT JOIN (SELECT usubjid, min(siteid) AS siteid FROM {} AS s GROUP BY usubjid) AS d"
            " ON d.usubjid = f.usubjid)"
        ).format(rows, self._subjects())

    def _rows(self, statement: Any, values: Mapping[str, Any]) -> list[Row]:
        limits = {f"limits_{domain}": text for domain, text in self._limits.items()}
        given = {
            "study": self.study,
            "today": self.asked.today,
            "as_of": self.asked.as_of,
            **limits,
            **values,
        }
        self.cursor.execute(statement, given)
        names = [column.name for column in self.cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in self.cursor.fetchall()]

    def _subjects(self) -> sql.Composable:
        if "DM" not in self.relations:
            # Nobody: the same columns, and no row.
            empty = (
                sql.SQL("NULL::{} AS {}").format(
                    sql.SQL("date" if name in _DAYS else "text"), sql.Identifier(name)
                )
                for name in _OF_DM.values()
            )
            return sql.SQL("(SELECT {} WHERE false)").format(sql.SQL(", ").join(empty))
        return self._source(self.relations["DM"], _OF_DM)

    def _findings(self, domain: str) -> sql.Composable:
        named = {column.replace("--", domain.lower()): name for column, name in _OF_FINDINGS.items()}
        relation = self.relations[domain]
        if domain not in self._limits or f"{domain.lower()}nrind" in relation.types:
            return self._source(relation, named)
        # No range is sent along with vital signs: what is usual stands in a table of the trial.
        del named[f"{domain.lower()}nrind"]
        return sql.SQL(
            "(SELECT f.*, CASE WHEN l.testcd IS NULL OR f.stresn IS NULL THEN NULL"
            " WHEN f.stresn < l.low OR f.stresn > l.high THEN 'ABNORMAL' ELSE 'NORMAL' END AS nrind"
            " FROM {} AS f LEFT JOIN jsonb_to_recordset({}::jsonb)"
            " AS l (testcd text, unit text, low numeric, high numeric)"
            " ON l.testcd = f.testcd AND lower(l.unit) = lower(f.stresu))"
        ).format(self._source(relation, named), sql.Placeholder(f"limits_{domain}"))

    @cached_property
    def _limits(self) -> Mapping[str, str]:
        """Domain -> tests, units and soft limits as JSON, where the definitions have them."""
        path = self.settings.definitions / "references" / "limits.csv"
        found = soft_limits(path) if path.is_file() else {}
        return {domain: json.dumps(limits) for domain, limits in found.items()}

    def _source(self, relation: Relation, named: Mapping[str, str]) -> sql.Composable:
        """A query of the columns a section may ask for: what is blinded, or not there, is null in it."""
        chosen = [self._column(relation, column, name) for column, name in named.items()]
        if relation.domain != "DM":
            chosen.append(self._day(relation, f"{relation.name}dtc", "day"))
        return sql.SQL("(SELECT {} FROM {} WHERE studyid = %(study)s)").format(
            sql.SQL(", ").join(chosen), relation.identifier
        )

    def _column(self, relation: Relation, column: str, name: str) -> sql.Composable:
        if name in _DAYS:
            return self._day(relation, column, name)
        kind = _NUMBERS.get(name, "text")
        value: sql.Composable = sql.SQL("NULL")
        if self._shows(relation, column):
            value = sql.Identifier(column)
            if kind == "text":
                value = sql.SQL("nullif({}::text, '')").format(value)
        if name == "siteid":
            value = sql.SQL("coalesce({}, '?')").format(value)
        made = sql.SQL("{}::{}").format(value, sql.SQL(kind))
        if kind == "numeric":
            # No number that anything could be compared with, and none that JSON has.
            made = sql.SQL("CASE WHEN {0} NOT IN ('NaN', 'Infinity', '-Infinity') THEN {0} END").format(made)
        return sql.SQL("{} AS {}").format(made, sql.Identifier(name))

    def _day(self, relation: Relation, column: str, name: str) -> sql.Composable:
        """The day of an ISO 8601 text that is known to the day, else null; of an end, the last that it may be."""
        if not self._shows(relation, column):
            return sql.SQL("NULL::date AS {}").format(sql.Identifier(name))
        return _last_day_of(column, name) if name in _ENDS else _day_of(column, name)

    def _shows(self, relation: Relation, column: str) -> bool:
        return column in relation.types and column not in self._blinded[relation.domain]

    def landed(self, domain: str) -> list[tuple[str, str]]:
        """The tables behind a domain whose rows say which load gave them their values; none where one of several does not."""
        found = []
        for table in self.relations[domain].tables:
            schema, _, name = table.partition(".")
            types = self._types(schema, name)
            if f"{domain.lower()}dtc" not in types:
                # What the view looks something up in.
                continue
            if not {"studyid", "_haulier_since"} <= types:
                return []
            found.append((schema, name))
        return found

    def _landed(self, domain: str) -> sql.Composable:
        return sql.SQL("({})").format(
            sql.SQL(" UNION ALL ").join(self._landed_in(domain, *place) for place in self.landed(domain))
        )

    def _landed_in(self, domain: str, schema: str, name: str) -> sql.Composable:
        column = f"{domain.lower()}dtc"
        blinded = self._blinded[domain]
        shown = self._types(schema, name) - blinded
        day = sql.SQL("NULL::date AS day") if column in blinded else _day_of(column, "day")
        site, subject = (
            sql.SQL("nullif({}::text, '')").format(sql.Identifier(one))
            if one in shown
            else sql.SQL("NULL::text")
            for one in ("siteid", "usubjid")
        )
        return sql.SQL(
            "SELECT {} AS said_site, {} AS usubjid, {}, _haulier_since AS load_id FROM {} WHERE studyid = %(study)s"
        ).format(site, subject, day, sql.Identifier(schema, name))

    def _types(self, schema: str, name: str) -> set[str]:
        self.cursor.execute(
            "SELECT a.attname::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped",
            [schema, name],
        )
        return {column for (column,) in self.cursor.fetchall()}


def _day_of(column: str, name: str) -> sql.Composable:
    return sql.SQL(
        "CASE WHEN {0} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}' AND pg_input_is_valid(left({0}, 10), 'date')"
        " THEN left({0}, 10)::date END AS {1}"
    ).format(sql.Identifier(column), sql.Identifier(name))


def _last_day_of(column: str, name: str) -> sql.Composable:
    return sql.SQL(
        "CASE WHEN {0} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}' AND pg_input_is_valid(left({0}, 10), 'date')"
        " THEN left({0}, 10)::date"
        " WHEN {0} ~ '^[0-9]{{4}}-[0-9]{{2}}$' AND pg_input_is_valid({0} || '-01', 'date')"
        " THEN (({0} || '-01')::date + interval '1 month' - interval '1 day')::date"
        " WHEN {0} ~ '^[0-9]{{4}}(--|$)' AND pg_input_is_valid(left({0}, 4) || '-12-31', 'date')"
        " THEN (left({0}, 4) || '-12-31')::date END AS {1}"
    ).format(sql.Identifier(column), sql.Identifier(name))
