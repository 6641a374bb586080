"""Pipelines and their instances: what a definition file may say, and what it resolves to."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

Natural = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
#: `NAME` is the environment variable `HAULIER_SECRET_NAME`, or the file that `HAULIER_SECRET_NAME_FILE` names.
SecretName = Name
Share = Annotated[float, Meta(ge=0, le=1)]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """A section of a definition file: an unknown key in it is an error."""


class Footer(_Section, frozen=True, kw_only=True):
    """Lines after the data that are not data."""

    #: How many trailing lines are always footer.
    rows: Natural = 0
    #: A trailing line that matches this regular expression is footer; a first group, if it has one,
    #: is the row count the sender claims, which must be right.
    pattern: str | None = None


class Csv(_Section, frozen=True, kw_only=True):
    """How the bytes of a delimited text file become cells."""

    section: ClassVar[str] = "csv"

    #: How bytes become characters, by Python's name of it: `utf-8`, `cp1252`, `utf-16`. A byte order mark is
    #: no part of the text.
    encoding: str = "utf-8"
    #: What separates cells.
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    #: The quote character, doubled inside quotes; empty: quotes mean nothing.
    quote: Annotated[str, Meta(max_length=1)] = '"'
    #: Lines before the header that are not data.
    preamble_rows: Natural = 0
    #: Header lines; the first names the columns, the others are dropped.
    header_rows: Annotated[int, Meta(ge=1, le=9)] = 1
    #: Lines after the data that are not data.
    footer: Footer = Footer()
    #: Longest record in bytes; a longer one (a quote never closed) is rejected.
    record_bytes: Annotated[int, Meta(ge=64, le=64 * 1024 * 1024)] = 1024 * 1024


class JsonLines(_Section, frozen=True, kw_only=True):
    """One JSON object a line: its keys are columns, nested values stay JSON."""

    section: ClassVar[str] = "jsonl"

    #: How bytes become characters, by Python's name of it. A byte order mark is no part of the text.
    encoding: str = "utf-8"
    #: Longest line in bytes; a longer one is rejected.
    record_bytes: Annotated[int, Meta(ge=64, le=64 * 1024 * 1024)] = 1024 * 1024


class Parquet(_Section, frozen=True, kw_only=True):
    """Parquet: columns keep their own types, nested ones become JSON."""

    section: ClassVar[str] = "parquet"
    encoding: ClassVar[str] = "utf-8"

    #: Most bytes of one row group, unpacked, as the file itself says; a larger one is refused.
    row_group_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024**3)] = 1024**3


class Excel(_Section, frozen=True, kw_only=True):
    """One sheet of an Excel workbook (.xlsx); docs/adr/0008 says what the text of a cell is."""

    section: ClassVar[str] = "excel"
    encoding: ClassVar[str] = "utf-8"

    #: The sheet's name, or its number counted from 1; hidden sheets count.
    sheet: Name | Annotated[int, Meta(ge=1)] = 1
    #: Rows of the sheet before the header that are not data.
    preamble_rows: Natural = 0
    #: Header rows; the first names the columns, the others are dropped.
    header_rows: Annotated[int, Meta(ge=1, le=9)] = 1
    #: Most bytes of texts that the workbook keeps once for all its cells; they are held in memory.
    shared_bytes: Annotated[int, Meta(ge=1024, le=16 * 1024**3)] = 128 * 1024**2


class FixedColumn(_Section, frozen=True, kw_only=True):
    """A column of a file of fixed width."""

    #: Its name: such a file has no header to read it from.
    name: Name
    #: How many characters it has.
    width: Annotated[int, Meta(ge=1, le=1024 * 1024)]
    #: Its first character, counted from 1; none: where the column before it ends.
    start: Annotated[int, Meta(ge=1, le=64 * 1024 * 1024)] | None = None


class FixedWidth(_Section, frozen=True, kw_only=True):
    """Text whose cells have their places in each line, padded with spaces."""

    section: ClassVar[str] = "fixed"

    #: The columns, from left to right.
    columns: Annotated[tuple[FixedColumn, ...], Meta(min_length=1)]
    #: How bytes become characters, by Python's name of it. A byte order mark is no part of the text.
    encoding: str = "utf-8"
    #: Lines before the first row that are not data.
    header_rows: Natural = 0
    #: A line that ends before its last column does: `reject`; or `pad`, where a sender cuts spaces off.
    short_lines: Literal["reject", "pad"] = "reject"
    #: Longest line in bytes; a longer one is rejected.
    record_bytes: Annotated[int, Meta(ge=64, le=64 * 1024 * 1024)] = 1024 * 1024

    @property
    def places(self) -> list[tuple[int, int]]:
        """Where each column begins and ends, counted from 0."""
        found: list[tuple[int, int]] = []
        for column in self.columns:
            begin = column.start - 1 if column.start else found[-1][1] if found else 0
            found.append((begin, begin + column.width))
        return found


#: How a delivery's bytes become columns. Each has a `section`, its key in a definition and in the registries,
#: and an `encoding`, that of its rows' verbatim bytes.
Format = Csv | JsonLines | Excel | Parquet | FixedWidth


class Ready(_Section, frozen=True, kw_only=True):
    """When a file counts as completely written; until then it waits for a later run."""

    #: Seconds since its last modification.
    quiet_seconds: Natural = 0
    #: `complete`: its last line must end; `any`: it may not.
    last_line: Literal["complete", "any"] = "complete"
    #: A file that must exist beside it, such as `{name}.done`.
    marker: str | None = None
    #: How long a scheduled run waits for its first file before it goes on without; `select: name` only.
    wait_minutes: Natural = 0


class Files(_Section, frozen=True, kw_only=True):
    """Files that someone sends."""

    #: Where, as a glob with placeholders: `{instance}`, `{pipeline}`, any parameter, and
    #: `{date:%Y-%m-%d}` for a date in the name. In a folder, or in a bucket: `s3://bucket/labs/*.csv`.
    path: Annotated[str, Meta(min_length=1)]
    #: What makes two files the same thing sent again: `{name}` (the file's name) or `{path}` (its whole
    #: path); the placeholders of `path` but the date may stand beside them.
    logical_name: Annotated[str, Meta(min_length=1)] = "{name}"
    #: Which files belong to a run: those modified in its interval, or those whose name's date is in it.
    select: Literal["modified", "name"] = "modified"
    #: How many days before the interval a run also looks, for late and corrected files.
    look_back_days: Natural = 0
    #: A file with the same bytes as an earlier one under another name: recorded and skipped, or loaded.
    copies: Literal["skip", "load"] = "skip"
    #: `delta`: a missing key means nothing; `cumulative`: every file holds everything so far, and
    #: vanished keys are reported.
    content: Literal["delta", "cumulative"] = "delta"
    #: When a file counts as completely written.
    ready: Ready = Ready()


class Basic(_Section, frozen=True, kw_only=True):
    """A user and a password, as RFC 7617 has them."""

    #: The user.
    user: Name
    #: Which secret is the password: `NAME` is the environment variable `HAULIER_SECRET_NAME`.
    password: SecretName


class ApiKey(_Section, frozen=True, kw_only=True):
    """A key in a header or in the query."""

    #: Which secret is the key.
    secret: SecretName
    #: Header that carries it.
    header: Name = "X-API-Key"
    #: Query parameter that carries it in the header's place.
    parameter: Name | None = None


class OAuth2(_Section, frozen=True, kw_only=True):
    """Client credentials (RFC 6749, 4.4): a token is fetched first, and again when it has run out."""

    #: Where tokens are given out.
    token_url: Name
    #: The client.
    client_id: Name
    #: Which secret is the client's.
    client_secret: SecretName
    #: What the token shall be good for.
    scope: str | None = None


class Auth(_Section, frozen=True, kw_only=True):
    """How a request says who asks: one of these. A definition names secrets and never holds one."""

    #: Which secret is sent as a bearer token (RFC 6750).
    bearer: SecretName | None = None
    #: A user and a password.
    basic: Basic | None = None
    #: A key in a header or in the query.
    api_key: ApiKey | None = None
    #: Client credentials.
    oauth2: OAuth2 | None = None


class Pages(_Section, frozen=True, kw_only=True):
    """How an answer continues."""

    #: `link`: its Link header names the next page (RFC 8288); `cursor`: it holds what to ask for next;
    #: `page`: pages are counted; `offset`: rows are.
    by: Literal["link", "cursor", "page", "offset"]
    #: Query parameter of the cursor, the page's number or the offset; none: named like `by`.
    parameter: Name | None = None
    #: Keys, divided by dots, that lead to the next cursor.
    next: Name = "next"
    #: Number of the first page.
    first: Natural = 1
    #: Rows of a full page: one with fewer is the last, once a page was full. Without it, or until then, an empty page is.
    size: Annotated[int, Meta(ge=1)] | None = None
    #: Query parameter that asks for pages of that size.
    size_parameter: Name | None = None


class Http(_Section, frozen=True, kw_only=True):
    """An API that is asked for what changed in the run's interval."""

    #: Address, with placeholders for parameters. Its answer is JSON, or CSV where `csv` stands beside.
    url: Name
    #: Query parameters. Beside the instance's placeholders, `{start}` and `{end}` are the run's interval, as ISO 8601
    #: or in a format: `{start:%Y-%m-%d}`, `{start:epoch}`.
    parameters: dict[str, str] = {}
    #: Headers of each request; none of them a secret.
    headers: dict[str, str] = {}
    #: How a request says who asks.
    auth: Auth | None = None
    #: How an answer continues; none: one answer holds all.
    pages: Pages | None = None
    #: Keys, divided by dots, that lead to the list of rows; none: the answer is the list.
    records: str = ""
    #: How often a request is tried before the run ends and is tried again later.
    tries: Annotated[int, Meta(ge=1, le=20)] = 6
    #: Longest time the server may be silent.
    timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    #: Largest answer in bytes.
    page_bytes: Annotated[int, Meta(ge=1024, le=1024 * 1024 * 1024)] = 64 * 1024 * 1024


class Source(_Section, frozen=True, kw_only=True):
    """Where the data comes from: files or an API."""

    #: Files that someone sends.
    files: Files | None = None
    #: An API.
    http: Http | None = None
    #: Delimited text; what files are unless another format is named.
    csv: Csv | None = None
    #: JSON Lines.
    jsonl: JsonLines | None = None
    #: Fixed width.
    fixed: FixedWidth | None = None
    #: A sheet of an Excel workbook.
    excel: Excel | None = None
    #: Parquet.
    parquet: Parquet | None = None

    @property
    def kind(self) -> str:
        """The section that says where the data comes from."""
        return "http" if self.http else "files"

    @property
    def place(self) -> str:
        """Where that is, for people."""
        return self.http.url if self.http else self.files.path if self.files else ""

    @property
    def format(self) -> Format:
        """How a delivery's bytes become columns: what the definition names, or what the source itself makes."""
        return next(iter(self.formats), JsonLines() if self.http else Csv())

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that are named: one at the most, or the definition is refused."""
        named = (self.csv, self.jsonl, self.fixed, self.excel, self.parquet)
        return tuple(form for form in named if form is not None)


class Unpivot(_Section, frozen=True, kw_only=True):
    """One source row becomes one row per listed column that is not empty."""

    #: Source column -> the label its rows get in `names_to`.
    columns: dict[str, str]
    #: Contract column that receives the label.
    names_to: str
    #: Contract column that receives the cell.
    values_to: str


class Transform(_Section, frozen=True, kw_only=True):
    """How source text becomes the contract's rows."""

    #: Source column -> contract column, where the names differ.
    columns: dict[str, str] = {}
    #: Columns that become rows.
    unpivot: Unpivot | None = None
    #: Functions to apply in order, each `module.function` of the functions folder.
    functions: tuple[str, ...] = ()
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


class Drift(_Section, frozen=True, kw_only=True):
    """What to do where the table is not yet what its contract says. Nothing is ever dropped or narrowed."""

    #: A column the table does not have: `stop`, or `evolve`, which adds it, empty in the rows that are there.
    new_column: Literal["evolve", "stop"] = "stop"
    #: Another type: `stop`, or `evolve`, which widens the table's (`varchar(10)` to `text`, `integer` to
    #: `bigint`, `numeric(8,2)` to `numeric(12,3)`) and leaves a wider one. Any other change stops.
    type_change: Literal["evolve", "stop"] = "stop"


class Load(_Section, frozen=True, kw_only=True):
    """How rows enter the target."""

    #: `upsert`: a row with a known primary key replaces the older one; `append`: every row is a new one;
    #: `replace`: a run's rows become all that its instance has in the table; `scd2`: every version of a row
    #: stays, with the time it holds.
    mode: Literal["append", "upsert", "replace", "scd2"] = "upsert"
    #: Share of the rows read that may be rejected; past it the run is quarantined whole.
    reject_threshold: Share = 0.05
    #: What to do where the table is not yet what its contract says.
    drift: Drift = Drift()


class Split(_Section, frozen=True, kw_only=True):
    """How a large run becomes shards, which an orchestrator transforms and copies side by side."""

    #: Rows of a shard, about: it ends with the batch that reaches them. A run of fewer is one shard.
    rows: Annotated[int, Meta(ge=1)]


class InstanceOverride(_Section, frozen=True, kw_only=True):
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


class Pipeline(_Section, frozen=True, kw_only=True):
    """A definition file, as written."""

    #: Its name, which is also the file's: `labs` in `pipelines/labs.yaml`.
    pipeline: str
    #: What it hauls, for people.
    description: str = ""
    #: Who answers for it, for people.
    owner: str = ""
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
    #: Whether large runs become shards; none: never. Tables and accounts are the same either way.
    split: Split | None = None
    #: The pipeline once per entry, with its parameters filled in; none: one instance named `main`.
    instances: dict[str, InstanceOverride] = {}


class Instance(_Section, frozen=True, kw_only=True):
    """A pipeline with its parameters filled in: what extract seals and the later steps obey."""

    #: Name of the pipeline.
    pipeline: str
    #: Name of the instance; `main` where the pipeline declares none.
    instance: str
    #: What it hauls, for people.
    description: str = ""
    #: Who answers for it, for people.
    owner: str = ""
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
    #: Whether large runs become shards.
    split: Split | None = None
