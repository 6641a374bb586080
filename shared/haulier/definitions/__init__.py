"""Pipelines and their instances: what a definition file may say, and what it resolves to."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal

from msgspec import Meta

from haulier.definitions.drift import Drift, SourceDrift
from haulier.definitions.models import Model
from haulier.definitions.sources import Source
from haulier.definitions.words import Name, Section, Share


class Unpivot(Section, frozen=True, kw_only=True):
    """One source row becomes one row per listed column that is not empty."""

    #: Source column -> the label its rows get in `names_to`.
    columns: dict[str, str]
    #: Contract column that receives the label.
    names_to: str
    #: Contract column that receives the cell.
    values_to: str
    #: Contract column -> label -> the source column whose cell goes along with that label's, such as its unit. A label
    #: that is not named, here or in `constants`, gets no value.
    beside: dict[str, dict[str, str]] = {}
    #: Contract column -> label -> the text that goes along with that label's cell; the instance's placeholders may stand
    #: in it.
    constants: dict[str, dict[str, str]] = {}
    #: Contract columns, of the row or of `beside`: where one of them has a value, an empty cell is an output, too, such
    #: as a measurement that was not made and why.
    keep_empty: tuple[str, ...] = ()

    @property
    def along(self) -> dict[str, None]:
        """The contract columns that go along with each cell, in the order they are named."""
        return dict.fromkeys((*self.beside, *self.constants))

    @property
    def fills(self) -> frozenset[str]:
        """All contract columns that are filled for each cell of its own."""
        return frozenset({self.names_to, self.values_to, *self.along})


class Pivot(Section, frozen=True, kw_only=True):
    """Rows of one item each, such as a result, its unit and its limits, become one row per group."""

    #: Source columns that say, together and to the letter, which rows are of one group; they stay. All rows of a group are
    #: in one delivery.
    by: tuple[Name, ...]
    #: Source column that names the item.
    names_from: Name
    #: Source column whose cell is the item's.
    values_from: Name
    #: Regular expression (RE2) that a whole name matches. Its named group `item` is the item; what other named groups hold
    #: tells groups apart as well, and becomes a source column of that name.
    pattern: Name
    #: Item -> the source column that its cell becomes. The first of these that a group has is the row that stands for it:
    #: what is wrong with the group is found there.
    items: dict[Name, Name]
    #: Items that are left out, and counted. A row of any other item is rejected.
    ignore: tuple[Name, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """The source columns it needs."""
        return (*self.by, self.names_from, self.values_from)


class Transform(Section, frozen=True, kw_only=True):
    """How source text becomes the contract's rows."""

    #: Source column -> contract column, where the names differ.
    columns: dict[str, str] = {}
    #: Contract column -> its text in every row, where the source has no such column; the instance's placeholders may
    #: stand in it. The contract judges it as it would a cell. A header that has the column as well is refused: nothing
    #: is overridden.
    constants: dict[str, str] = {}
    #: Columns that become rows.
    unpivot: Unpivot | None = None
    #: Rows that become columns, before anything else here is looked at.
    pivot: Pivot | None = None
    #: Functions to apply in order, each `module.function` of the functions folder.
    functions: tuple[str, ...] = ()
    #: Tables that the functions look things up in: name -> path of a CSV file in UTF-8 with a header, seen from the
    #: definition file and inside its folder. Each is sealed with the definition, whole: a changed table is a changed
    #: definition.
    references: dict[Name, Name] = {}
    #: The functions may return other rows than they were given (grouping, child rows).
    reshape: bool = False
    #: What stands between whole numbers and fractions.
    decimal_mark: Literal[".", ","] = "."
    #: Contract column -> formats (strptime) tried in order; `iso` is ISO 8601.
    date_formats: dict[str, tuple[str, ...]] = {}
    #: Zone of times that carry no offset.
    time_zone: str = "UTC"
    #: Cells that mean "no value", beside the empty one, in every column.
    null_values: tuple[str, ...] = ()
    #: What to do where a file's columns are not those of the contract.
    drift: SourceDrift = SourceDrift()


class Load(Section, frozen=True, kw_only=True):
    """How rows enter the target."""

    #: `upsert`: a row with a known primary key replaces the older one; `append`: every row is a new one;
    #: `replace`: a run's rows become all that its instance has in the table; `scd2`: every version of a row
    #: stays, with the time it holds.
    mode: Literal["append", "upsert", "replace", "scd2"] = "upsert"
    #: Share of the rows read that may be rejected; past it the run is quarantined whole.
    reject_threshold: Share = 0.05
    #: Share of its instance's rows that one run may take out of the table because they are no longer sent; past it the run
    #: is quarantined whole. For `upsert` of cumulative files, which without it only count such rows and keep them, and for
    #: `replace`, which without it removes any number.
    removal_threshold: Share | None = None
    #: What to do where the table is not yet what its contract says.
    drift: Drift = Drift()


class Split(Section, frozen=True, kw_only=True):
    """How a large run becomes shards, which an orchestrator transforms and copies side by side."""

    #: Rows of a shard, about: it ends with the batch that reaches them. A run of fewer is one shard.
    rows: Annotated[int, Meta(ge=1)]


class Approval(Section, frozen=True, kw_only=True):
    """Who answers for what the pipeline does. It holds as long as nothing of that changes."""

    #: What people call this state of the pipeline: `1.3`.
    version: Name
    #: Who wrote it.
    author: Name
    #: Who approved it: somebody else.
    approver: Name
    #: The day on which that was.
    on: date
    #: What was approved, as `haulier check --digests` says it.
    digest: Name

    @property
    def words(self) -> str:
        """As a run's record says it."""
        return f"version {self.version} by {self.author}, approved by {self.approver} on {self.on}"


class Change(Section, frozen=True, kw_only=True):
    """What is different about an instance from some day on: a new version of its export."""

    #: The first day (UTC): runs whose interval begins on it or later obey; earlier ones never do, whenever they run.
    since: date
    #: Laid over the instance's `parameters`.
    parameters: dict[str, str | None] = {}
    #: Laid over the instance's `source`, as that is over the pipeline's. It stays of the same kind, and what a watermark or
    #: `changes` has a position in stays the same table, or query with the same parameters.
    source: dict[str, Any] = {}
    #: Laid over the instance's `transform` in the same way.
    transform: dict[str, Any] = {}

    @property
    def begins(self) -> datetime:
        return datetime.combine(self.since, time(), UTC)


class InstanceOverride(Section, frozen=True, kw_only=True):
    """What one instance says differently from its pipeline."""

    #: What this instance is, in place of the pipeline's description.
    description: str | None = None
    #: Airflow roles that see its DAG and start it, beside the pipeline's.
    operators: tuple[Name, ...] = ()
    #: Values of its own placeholders (`{folder}` in a path is the parameter `folder`); functions see them too.
    parameters: dict[str, str] = {}
    #: Laid over the pipeline's `source`, key by key (RFC 7396): mappings merge, lists are replaced, and null
    #: takes a key back to its default.
    source: dict[str, Any] = {}
    #: Laid over the pipeline's `transform` in the same way.
    transform: dict[str, Any] = {}
    #: What its sender changes later, by the day; each is laid over all before it.
    changes: tuple[Change, ...] = ()


class Pipeline(Section, frozen=True, kw_only=True):
    """A definition file, as written."""

    #: Its name, which is also the file's: `labs` in `pipelines/labs.yaml`.
    pipeline: str
    #: What it hauls, for people.
    description: str = ""
    #: Who answers for it, for people.
    owner: str = ""
    #: Who approved what it does, if somebody did.
    approval: Approval | None = None
    #: Words to find it by; Airflow shows them.
    tags: tuple[str, ...] = ()
    #: Airflow roles that see its DAGs and start them, beside administrators.
    operators: tuple[Name, ...] = ()
    #: Path of the contract, from this file.
    contract: str
    #: `@daily`, `@hourly`, `@weekly`, `@monthly`, a five-field cron line, or none: only by hand.
    schedule: str | None = None
    #: First day of the first interval (UTC).
    start: date | None = None
    #: Whether missed intervals are run.
    catchup: bool = True
    #: Where the data comes from.
    source: Source
    #: How source text becomes the contract's rows.
    transform: Transform = Transform()
    #: How rows enter the target.
    load: Load = Load()
    #: SQL models that run inside PostgreSQL after the load, each a file `models/NAME.sql`; what one reads of
    #: another decides their order. With a `merge` among them `load.mode` is `append`: the table is the raw one.
    models: tuple[Name, ...] = ()
    #: Whether large runs become shards; none: never. Tables and accounts are the same either way.
    split: Split | None = None
    #: The pipeline once per entry, with its parameters filled in; none: one instance named `main`.
    instances: dict[str, InstanceOverride] = {}


class Instance(Section, frozen=True, kw_only=True):
    """A pipeline with its parameters filled in: what extract seals and the later steps obey."""

    #: Name of the pipeline.
    pipeline: str
    #: Name of the instance; `main` where the pipeline declares none.
    instance: str
    #: What it hauls, for people.
    description: str = ""
    #: Who answers for it, for people.
    owner: str = ""
    #: Who approved what it does; none where what was approved is something else.
    approval: Approval | None = None
    #: Words to find it by; Airflow shows them.
    tags: tuple[str, ...] = ()
    #: Airflow roles that see its DAG and start it.
    operators: tuple[Name, ...] = ()
    #: When it runs, as the pipeline says.
    schedule: str | None = None
    #: First day of the first interval (UTC).
    start: date | None = None
    #: Whether missed intervals are run.
    catchup: bool = True
    #: Values of the instance's own placeholders.
    parameters: dict[str, str] = {}
    #: Where the data comes from, overrides merged and placeholders filled in.
    source: Source
    #: How source text becomes the contract's rows, overrides merged.
    transform: Transform = Transform()
    #: How rows enter the target.
    load: Load = Load()
    #: What the files of `transform.references` hold.
    references: dict[Name, str] = {}
    #: SQL models that run after the load, their files read.
    models: tuple[Model, ...] = ()
    #: Whether large runs become shards.
    split: Split | None = None
