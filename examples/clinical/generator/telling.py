"""The generator's own record of a whole trial: what it did, told as the events that each day's runs must leave behind.

Nothing here reads a file or asks Haulier. Rows are those that were spoiled, with what was spoiled; the rest is the
carriage that the README promises: a day's files are one run of their site, a resend and a copy are not hauled, a run
with too many rejects is quarantined whole, the newest row of a key stays.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from pathlib import PurePosixPath

from generator.canonical import Output, Values, measured, outputs
from generator.conventions import NEW_COLUMN
from generator.edition import Edition, digest
from generator.events import (
    REJECT_THRESHOLD,
    REJECTS,
    REMOVAL_THRESHOLD,
    Event,
    Events,
    Place,
    Told,
)
from generator.spoil import ENTERING_RULES, KEY_RULES, ROW_RULES, Line
from generator.trial import Shipment, Trial, modified_at

#: Kinds by which a file is counted that was hauled; of several, the first.
_OF_FILES = (
    "correction",
    "completion",
    "cleared",
    "late",
    "empty",
    "broken_export",
    "cut_export",
    "deleted_row",
)
GOOD, HELD, NO_NEWS = "nothing odd", "beside a bad file", "no news"


def told_of(trial: Trial) -> Told:
    """Everything there is to say when each day was hauled after its files had arrived, and no day twice."""
    telling = _Telling()
    days = [trial.date_of(day) for day in range(trial.days)]
    sent = [shipment for shipment in trial.shipments if shipment.arrival <= days[-1]]
    lanes = {lane: list(shipments) for lane, shipments in groupby(sent, _lane)}
    for site in trial.sites:
        for pipeline in ("vitals", "labs"):
            telling.lane(pipeline, site, days, lanes.get((pipeline, site), []))
    return Told(telling.events, telling.kinds)


def _lane(shipment: Shipment) -> tuple[str, str]:
    return shipment.edition.pipeline, shipment.edition.day.site


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file as it is sent."""

    shipment: Shipment
    path: str
    modified: datetime
    sha256: str
    lines: list[Line]

    @classmethod
    def of(cls, shipment: Shipment) -> "_File":
        edition = shipment.edition
        page = edition.render()
        return cls(
            shipment=shipment,
            path=PurePosixPath(edition.day.site, shipment.folder.isoformat(), shipment.name).as_posix(),
            modified=modified_at(shipment),
            sha256=digest(edition.data(page.text)),
            lines=page.lines,
        )

    @property
    def edition(self) -> Edition:
        return self.shipment.edition

    @property
    def name(self) -> str:
        return self.shipment.name


@dataclass(kw_only=True)
class _Table:
    """One site's rows of one table, and what was sent for it, as run after run leaves them."""

    rows: dict[Values, tuple[Values, Place, str]] = field(default_factory=dict)  # with the kind of the row
    digest_of: dict[str, str] = field(default_factory=dict)  # name -> of what was hauled last
    first_name_of: dict[str, str] = field(default_factory=dict)  # digest -> name
    queries: dict[str, list[tuple[str, Event]]] = field(
        default_factory=dict
    )  # name -> kind, open reject or flag
    arrived: set[date] = field(default_factory=set)


@dataclass(kw_only=True)
class _Run:
    """What one run makes of its files, before it is known whether it loads."""

    files: list[_File]
    rejected_rows: int = 0
    rejected_outputs: int = 0
    produced: int = 0
    duplicates: int = 0
    rejects: list[tuple[_File, str, Event]] = field(default_factory=list)
    flags: list[tuple[_File, str, Event]] = field(default_factory=list)
    staged: dict[Values, tuple[Values, Place, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for file in self.files:
            for number, line in enumerate(file.lines, start=1):
                self._take(file, Place(file.path, file.edition.convention.lines_before_data + number), line)

    @property
    def rejected(self) -> int:
        return self.rejected_rows + self.rejected_outputs

    @property
    def is_bad(self) -> bool:
        return self.rejected > REJECT_THRESHOLD * (self.rejected_rows + self.produced)

    def rejected_of(self, file: _File) -> int:
        """Rows of a file of which nothing is used, as a whole and not each measurement by itself."""
        return sum(line.rule in ROW_RULES and not _is_split(file, line) for line in file.lines)

    def _take(self, file: _File, place: Place, line: Line) -> None:
        edition = file.edition
        spoiled: tuple[str, ...] = ()
        if _is_split(file, line):
            spoiled = measured(edition.pipeline, line.values, edition.columns)
        elif line.rule in ROW_RULES:
            self.rejected_rows += 1
            self._reject(file, place, line, None)
            return
        elif line.rule in REJECTS:
            spoiled = (line.column,)
        for column in spoiled:
            self.rejected_outputs += 1
            self.produced += 1
            self._reject(file, place, line, column if edition.pipeline == "vitals" else None)
        if _is_split(file, line):
            return
        for output in outputs(edition.pipeline, line, edition.columns, edition.convention):
            if output.column not in spoiled:
                self._enter(file, place, line, output)

    def _enter(self, file: _File, place: Place, line: Line, output: Output) -> None:
        self.produced += 1
        if output.key in self.staged:
            self.duplicates += 1
        odd = line.rule in ENTERING_RULES and output.column in (line.column, "RESULT")
        self.staged[output.key] = (output.values, place, line.rule if odd else "")
        of = output.column if file.edition.pipeline == "vitals" else None
        for rule, column in output.flags:
            self.flags.append((file, line.rule, Event("flag", *place, (rule, column, of))))

    def _reject(self, file: _File, place: Place, line: Line, output: str | None) -> None:
        rule, column = REJECTS[line.rule]
        self.rejects.append((file, line.rule, Event("reject", *place, (rule, column, output))))


class _Telling:
    def __init__(self) -> None:
        self.events: Events = Counter()
        self.kinds: dict[Event, str] = {}

    def say(self, kind: str, event: Event, count: int = 1) -> None:
        if count:
            self.events[event] += count
            self.kinds.setdefault(event, kind)

    def lane(self, pipeline: str, site: str, days: list[date], shipments: list[Shipment]) -> None:
        """One site's files of one pipeline, day by day."""
        table = _Table()
        waiting: list[Shipment] = []
        for day in days:
            # What waited is taken by the next run, unless another file is in its place by then.
            arriving = [shipment for shipment in shipments if shipment.arrival == day]
            at_hand = list({(one.folder, one.name): one for one in (*waiting, *arriving)}.values())
            refused = [shipment for shipment in at_hand if shipment.fate == "refused"]
            for shipment in refused:
                self.say("identifier", Event("refused", _File.of(shipment).path, 0, (("email", 1),)))
            waiting = at_hand if refused else []
            if not refused:
                self._run(f"{pipeline}/{site}/{day}", table, at_hand)
        for day in days:
            if day not in table.arrived:
                self.say("missing", Event("missing", f"{pipeline}/{site}/{day}", 0, "no file"))
        for queries in table.queries.values():
            for kind, query in queries:
                self.say(kind, query._replace(category="open"))
        for key, (values, place, kind) in table.rows.items():
            self.say(kind or GOOD, Event("row", *place, (key, values)))

    def _run(self, name: str, table: _Table, arriving: list[Shipment]) -> None:
        files = self._new(table, arriving)
        if not files:
            self.say(NO_NEWS, Event("run", name, 0, ("empty", ())))
            return
        run = _Run(files=files)
        for _, kind, reject in run.rejects:
            self.say(kind, reject)
        gone = self._gone(table, run)
        # A row that was rejected may be the very one that is missing.
        going = max(0, len(gone) - run.rejected)
        too_many_go = going > REMOVAL_THRESHOLD * len(table.rows) or (going > 0 and not run.staged)
        fate = "quarantined" if run.is_bad or too_many_go else "loaded"
        for file in files:
            self._file(file, run, fate)
        if fate == "loaded":
            self._load(name, table, run, gone if not run.rejected else [], len(gone))
        else:
            held = run.produced - run.rejected_outputs
            counts = _counts(
                produced=run.produced, rejected=run.rejected_outputs, held=held, vanished=len(gone)
            )
            self.say("broken_export" if run.is_bad else "cut_export", Event("run", name, 0, (fate, counts)))
        for file, kind, query in (*run.rejects, *(run.flags if fate == "loaded" else ())):
            table.queries.setdefault(file.name, []).append((kind, query))

    def _new(self, table: _Table, arriving: list[Shipment]) -> list[_File]:
        """The files that a run hauls; and what there is to say of the others."""
        hauled: dict[str, _File] = {}
        for file in sorted(map(_File.of, arriving), key=lambda file: (file.modified, file.path)):
            shipment, edition, name = file.shipment, file.edition, file.name
            if shipment.fate == "incomplete":
                self.say("half_written", Event("file", file.path, 0, "waits"))
                continue
            if "copy" not in shipment.kinds:
                table.arrived.add(edition.day.business)
            if table.digest_of.get(name) == file.sha256:
                self.say("resend", Event("file", file.path, 0, "resend"))
                continue
            if table.first_name_of.setdefault(file.sha256, name) != name:
                # Of two files without a row, too, the later one has the bytes of the earlier one.
                kind = "copy" if "copy" in shipment.kinds else "empty"
                self.say(kind, Event("file", file.path, 0, "copy"))
                continue
            late = (shipment.arrival - edition.day.business).days
            if late and name not in table.digest_of and not edition.convention.cumulative:
                kind = next(kind for kind in ("late", "completion", "cleared") if kind in shipment.kinds)
                self.say(kind, Event("late", file.path, 0, late))
            table.digest_of[name] = file.sha256
            if name in hauled:
                self.say("completion", Event("file", hauled[name].path, 0, "not hauled"))
            hauled[name] = file
        return list(hauled.values())

    def _gone(self, table: _Table, run: _Run) -> list[Values]:
        """Keys that a file with everything so far no longer has."""
        if not run.files[-1].edition.convention.cumulative:
            return []
        return [key for key in table.rows if key not in run.staged]

    def _file(self, file: _File, run: _Run, fate: str) -> None:
        edition = file.edition
        own = [kind for kind in _OF_FILES if kind in file.shipment.kinds]
        kind = HELD if fate == "quarantined" and not {"broken_export", "cut_export"} & set(own) else GOOD
        self.say(own[0] if own and kind == GOOD else kind, Event("file", file.path, 0, fate))
        footer, rejected = int(edition.convention.footer is not None), run.rejected_of(file)
        account = (len(file.lines) + footer, len(file.lines) - rejected, 0, rejected, footer)
        self.say(_way_of_writing(edition), Event("account", file.path, 0, account))
        # Of a file without a row nobody looks at the header.
        if edition.new_column and file.lines:
            self.say("new_column", Event("column", file.path, 0, f"new {NEW_COLUMN}"))
        if edition.missing_column and file.lines:
            self.say("missing_column", Event("column", file.path, 0, "missing collected_test"))

    def _load(self, name: str, table: _Table, run: _Run, gone: list[Values], vanished: int) -> None:
        for _, kind, flag in run.flags:
            self.say(kind, flag)
        causes = {file.path: _cause_of_change(file) for file in run.files}
        inserted = updated = unchanged = 0
        for key in gone:
            values, _, kind = table.rows.pop(key)
            # What the site put right has its own key again.
            self.say(
                kind if kind in KEY_RULES else "deleted_row",
                Event("history", name, 0, ("remove", key, values)),
            )
        for key, (values, place, kind) in run.staged.items():
            before = table.rows.get(key)
            if before is None:
                inserted += 1
            elif before[0] == values:
                unchanged += 1
            else:
                updated += 1
                self.say(kind or causes[place.where], Event("history", name, 0, ("update", key, before[0])))
            table.rows[key] = (values, place, kind)
        self.say("duplicate", Event("duplicate", name, 0, "one more"), count=run.duplicates)
        counts = _counts(
            produced=run.produced,
            inserted=inserted,
            updated=updated,
            unchanged=unchanged,
            duplicate=run.duplicates,
            rejected=run.rejected_outputs,
            removed=len(gone),
            vanished=vanished,
        )
        self.say(GOOD, Event("run", name, 0, ("loaded", counts)))
        for file in run.files:
            for kind, query in table.queries.pop(file.name, []):
                self.say(kind, query._replace(category="corrected"))


def _is_split(file: _File, line: Line) -> bool:
    """Whether each measurement of a row is rejected by itself: a date is read with each."""
    return file.edition.pipeline == "vitals" and line.rule == "bad_date"


def _cause_of_change(file: _File) -> str:
    """Why a row without anything odd has another value than the table."""
    if "correction" in file.shipment.kinds:
        return "correction"
    return "missing_column" if file.edition.missing_column else "right again in all so far"


def _way_of_writing(edition: Edition) -> str:
    if edition.day.changed:
        return "changed_export"
    if edition.renamed:
        return "renamed_column"
    convention = edition.convention
    packed = ", packed" if edition.pipeline in convention.compressed else ""
    around = ", lines around" if convention.preamble or convention.labels else ""
    so_far = ", all so far" if convention.cumulative else ""
    units = ", inches" if convention.imperial else ""
    return f"{convention.encoding} {convention.delimiter!r} {convention.decimal!r}{packed}{around}{so_far}{units}"


def _counts(**given: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, count) for name, count in given.items() if count))
