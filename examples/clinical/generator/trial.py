"""A trial: which files its sites send on which day, and the sending."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from os import utime
from pathlib import Path
from zoneinfo import ZoneInfo

from generator.conventions import COLUMNS, FIRST_LARGE_SITE, convention_of
from generator.dice import Dice
from generator.edition import Edition, digest
from generator.measurements import Day
from generator.mess import DAYS_LATE, FilePlan, Mess, file_plan, first_day_of
from generator.record import Delivered, Missing

# What a new version of an export changes.
_VERSIONS_OF: Mapping[str, tuple[str, ...]] = {
    "vitals": ("new_column", "renamed_column"),
    "labs": ("missing_column", "renamed_column"),
}


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """One sending of one edition."""

    edition: Edition
    name: str
    folder: date
    arrival: date
    kinds: tuple[str, ...] = ()
    fate: str = "load"
    corrects: Edition | None = None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Sample data for a number of sites and days. Every file follows from the arguments alone, so days can be
    delivered in any order, once or again, and the bytes are the same on every Python."""

    seed: int = 20260105
    sites: tuple[str, ...] = ("701", "702", "703")
    days: int = 5
    start: date = date(2026, 1, 5)
    subjects: int = 10
    mess: Mess = field(default_factory=Mess)

    def __post_init__(self) -> None:
        for site in self.sites:
            convention_of(site)
        if len(set(self.sites)) != len(self.sites) or not self.sites:
            raise ValueError(f"sites {self.sites!r} are not one or more different sites")
        if self.days < 1:
            raise ValueError(f"days={self.days} is not a number of days from 1 on")
        if not 8 <= self.subjects <= 8999:
            # Below 8, one bad row in a vitals file already passes the 10 % at which the example quarantines.
            raise ValueError(f"subjects={self.subjects} is not a number of subjects a site from 8 to 8999")

    def date_of(self, day_index: int) -> date:
        """Raises IndexError where the trial has no such day."""
        if not 0 <= day_index < self.days:
            raise IndexError(f"day {day_index} is not one of the trial's days 0 to {self.days - 1}")
        return self.start + timedelta(days=day_index)

    def deliver(self, day_index: int, landing: Path) -> list[Delivered]:
        """Write what arrives on this day into `landing/<site>/<arrival date>/`, and say what was done.

        A file cut off the day before is completed where it lies, in the folder of the day before: who wants
        to see the half of it has to look between the two days.
        """
        today = self.date_of(day_index)
        arriving = [shipment for shipment in self.shipments if shipment.arrival == today]
        return [self._send(shipment, day_index, landing) for shipment in arriving]

    def deliver_all(self, landing: Path) -> list[Delivered]:
        return [delivered for day in range(self.days) for delivered in self.deliver(day, landing)]

    def missing(self, day_index: int) -> list[Missing]:
        """The files of this business day that do not arrive on it."""
        today, absent = self.date_of(day_index), []
        for position, site in enumerate(self.sites):
            for pipeline in COLUMNS:
                plan = self._plan(position, site, pipeline, day_index)
                if plan.state in ("missing", "late"):
                    absent.append(
                        Missing(
                            site=site,
                            pipeline=pipeline,
                            business_date=today,
                            day=day_index,
                            kinds=(plan.state,),
                            arrives=today + timedelta(days=DAYS_LATE) if plan.state == "late" else None,
                        )
                    )
        return absent

    @cached_property
    def shipments(self) -> list[Shipment]:
        """Everything that is ever sent, in the order of site, pipeline, business day and arrival."""
        found: list[Shipment] = []
        for position, site in enumerate(self.sites):
            for pipeline in COLUMNS:
                versions = {
                    kind: first_day_of(self.mess, self.seed, position, site, self.days, kind)
                    for kind in _VERSIONS_OF[pipeline]
                    if kind != "renamed_column" or not convention_of(site).aliases
                }
                gone: list[Day] = []
                for day in range(self.days):
                    plan = self._plan(position, site, pipeline, day)
                    version = [kind for kind, first in versions.items() if first is not None and day >= first]
                    if plan.deletes_row:
                        gone.append(self._day(site, day - 1))
                    found += self._file(site, pipeline, day, plan, tuple(version), tuple(gone))
        return found

    def changed_on(self, site: str) -> date | None:
        """From which day on a site's export is another, if it ever is. One that sends everything so far keeps its own."""
        day = self._changes.get(site)
        return None if day is None else self.start + timedelta(days=day)

    @cached_property
    def _changes(self) -> Mapping[str, int]:
        """Site -> the first day of its new export, never the trial's own."""
        found = {}
        for position, site in enumerate(self.sites):
            first = first_day_of(self.mess, self.seed, position, site, self.days, "changed_export")
            if first is not None and not convention_of(site).cumulative:
                found[site] = max(first, 1)
        return found

    def _day(self, site: str, day: int, written: date | None = None) -> Day:
        """One day of a site as an export of a later one, or of its own, writes it."""
        business, since = self.date_of(day), self.changed_on(site)
        return Day(
            seed=self.seed,
            site=site,
            subjects=self.subjects,
            start=self.start,
            business=business,
            changed=since is not None and (written or business) >= since,
        )

    def _plan(self, position: int, site: str, pipeline: str, day: int) -> FilePlan:
        return file_plan(self.mess, self.seed, position, site, pipeline, day, self._changes.get(site))

    def _file(
        self,
        site: str,
        pipeline: str,
        day: int,
        plan: FilePlan,
        version: tuple[str, ...],
        gone: tuple[Day, ...],
    ) -> Iterator[Shipment]:
        """The first sending of one daily file, and every later one."""
        if plan.state == "missing":
            return
        convention, business = convention_of(site), self.date_of(day)
        arrival = business + timedelta(days=DAYS_LATE if plan.state == "late" else 0)
        edition = Edition(
            day=self._day(site, day, arrival),
            pipeline=pipeline,
            earlier=tuple(self._day(site, before) for before in range(day)) if convention.cumulative else (),
            created=arrival,
            state=plan.state,
            row_kinds=plan.rows,
            new_column="new_column" in version,
            renamed="renamed_column" in version,
            missing_column="missing_column" in version,
            gone=gone,
        )
        name = convention.file_name(pipeline, business)
        deleted = ("deleted_row",) if plan.deletes_row else ()
        states, before = (plan.state,) if plan.state else (), version
        version += _change(edition)
        own = tuple(dict.fromkeys(states + plan.rows)) + deleted + version
        is_broken = plan.state == "broken_export"
        first = Shipment(
            edition=edition,
            name=name,
            folder=arrival,
            arrival=arrival,
            kinds=own,
            fate="quarantine" if is_broken else "load",
        )
        if plan.state == "half_written":
            yield replace(first, edition=replace(edition, cut=True), fate="incomplete")
            yield replace(first, arrival=arrival + timedelta(days=1), kinds=("completion", *version))
        elif plan.state == "identifier":
            yield replace(first, fate="refused")
            clear = replace(edition, state="")
            yield replace(
                first, edition=clear, arrival=arrival + timedelta(days=1), kinds=("cleared", *version)
            )
        else:
            yield first
        for kind, later in plan.again.items():
            then = arrival + timedelta(days=later)
            again = replace(first, folder=then, arrival=then)
            if kind == "correction":
                # What was wrong is put right; where nothing was, some values are not what they were.
                repaired = replace(
                    edition,
                    day=self._day(site, day, then),
                    created=then,
                    state="",
                    row_kinds=(),
                    corrected=not plan.rows and not is_broken,
                )
                kinds = (kind, *before, *_change(repaired))
                yield replace(again, edition=repaired, kinds=kinds, fate="load", corrects=edition)
            elif kind == "resend":
                yield replace(again, kinds=(kind, *own), fate="known")
            else:
                yield replace(again, name=_copy_name(pipeline, name), kinds=(kind, *own), fate="copy")

    def _send(self, shipment: Shipment, day_index: int, landing: Path) -> Delivered:
        edition = shipment.edition
        path = Path(edition.day.site, shipment.folder.isoformat(), shipment.name)
        page, modified = edition.render(), modified_at(shipment)
        data = edition.data(page.text)
        _write(landing / path, data, modified)
        corrects = shipment.corrects
        return Delivered(
            site=edition.day.site,
            pipeline=edition.pipeline,
            business_date=edition.day.business,
            day=day_index,
            arrival_date=shipment.arrival,
            path=path.as_posix(),
            modified=modified,
            bytes=len(data),
            sha256=digest(data),
            kinds=shipment.kinds,
            fate=shipment.fate,
            stripped=edition.stripped,
            rows=edition.row_counts(page.lines),
            outputs=edition.output_counts(page.lines),
            changed=(edition.row_texts() - corrects.row_texts()).total() if corrects else 0,
            extra_columns=edition.extra_columns,
            findings=edition.findings(page),
        )


def large_trial(seed: int = Trial.seed, sites: int = 50, days: int = 30) -> Trial:
    """Fifty sites that write in every way there is, thirty days, every kind of mess."""
    names = tuple(str(FIRST_LARGE_SITE + number) for number in range(sites))
    return Trial(seed=seed, sites=names, days=days, subjects=8, mess=Mess.everything())


def modified_at(shipment: Shipment) -> datetime:
    """An evening hour at the site, which falls on the arrival date in UTC as well."""
    day, convention = shipment.edition.day, shipment.edition.convention
    dice = Dice(day.seed, "sent", day.site, shipment.folder, shipment.name, shipment.arrival)
    local = datetime(
        shipment.arrival.year,
        shipment.arrival.month,
        shipment.arrival.day,
        convention.sends_at_hour,
        dice.between(0, 59),
        dice.between(0, 59),
        tzinfo=ZoneInfo(convention.timezone),
    )
    return local.astimezone(UTC)


def _change(edition: Edition) -> tuple[str, ...]:
    return ("changed_export",) if edition.day.changed else ()


def _copy_name(pipeline: str, name: str) -> str:
    """As a browser names a second download (labs), or as a careful person does (vitals)."""
    if pipeline == "vitals":
        return f"copy_of_{name}"
    stem, suffix = name.split(".", 1)
    return f"{stem} (1).{suffix}"


def _write(path: Path, data: bytes, modified: datetime) -> None:
    """Whole or absent: nobody sees the file without its modification time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(data)
    utime(partial, (modified.timestamp(), modified.timestamp()))
    partial.replace(path)
