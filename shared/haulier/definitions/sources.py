"""What a definition may say of where its data comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from haulier.definitions.formats import LINE_BYTES, Csv, Excel, FixedWidth, Format, JsonLines, Parquet
from haulier.definitions.words import Name, Natural, SecretName, Section
from haulier.placeholders import instants


class Ready(Section, frozen=True, kw_only=True):
    """When a file counts as completely written; until then it waits for a later run."""

    #: Seconds since its last modification.
    quiet_seconds: Natural = 0
    #: `complete`: its last line must end; `any`: it may not.
    last_line: Literal["complete", "any"] = "complete"
    #: A file that must exist beside it, such as `{name}.done`.
    marker: str | None = None
    #: How long a scheduled run waits for its first file before it goes on without; `select: name` only.
    wait_minutes: Natural = 0


class Files(Section, frozen=True, kw_only=True):
    """Files that someone sends."""

    #: Where, as a glob with placeholders: `{instance}`, `{pipeline}`, any parameter, and
    #: `{date:%Y-%m-%d}` for a date in the name. In a folder, in a bucket (`s3://bucket/labs/*.csv`), on an SSH server
    #: (`sftp://host/labs/*.csv`), or an address (`https://host/labs_{date:%Y-%m-%d}.csv`).
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
    #: `delta`: a missing key means nothing; `cumulative`: every file holds everything so far;
    #: keys that vanished are counted, and leave the table where `load.removal_threshold` lets them.
    content: Literal["delta", "cumulative"] = "delta"
    #: When a file counts as completely written.
    ready: Ready = Ready()


class Basic(Section, frozen=True, kw_only=True):
    """A user and a password, as RFC 7617 has them."""

    #: The user.
    user: Name
    #: Which secret is the password: `NAME` is the environment variable `HAULIER_SECRET_NAME`.
    password: SecretName


class ApiKey(Section, frozen=True, kw_only=True):
    """A key in a header or in the query."""

    #: Which secret is the key.
    secret: SecretName
    #: Header that carries it.
    header: Name = "X-API-Key"
    #: Query parameter that carries it in the header's place.
    parameter: Name | None = None


class OAuth2(Section, frozen=True, kw_only=True):
    """Client credentials (RFC 6749, 4.4): a token is fetched first, and again when it has run out."""

    #: Where tokens are given out.
    token_url: Name
    #: The client.
    client_id: Name
    #: Which secret is the client's.
    client_secret: SecretName
    #: What the token shall be good for.
    scope: str | None = None


class Auth(Section, frozen=True, kw_only=True):
    """How a request says who asks: one of these. A definition names secrets and never holds one."""

    #: Which secret is sent as a bearer token (RFC 6750).
    bearer: SecretName | None = None
    #: A user and a password.
    basic: Basic | None = None
    #: A key in a header or in the query.
    api_key: ApiKey | None = None
    #: Client credentials.
    oauth2: OAuth2 | None = None


class Pages(Section, frozen=True, kw_only=True):
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


class Http(Section, frozen=True, kw_only=True):
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


class Watermark(Section, frozen=True, kw_only=True):
    """How far a table was read: the next run begins there. docs/adr/0012 says what is promised."""

    #: Column that grows with every change: when a row was last written, or a number.
    column: Name
    #: How long before that each run begins, for rows that were committed later than they were written.
    lag_seconds: Natural = 0
    #: The same for a column of numbers: how far below it each run begins.
    lag_steps: Natural = 0


class Changes(Section, frozen=True, kw_only=True):
    """What happens to a table of PostgreSQL, change by change, out of its log. docs/adr/0016 says what is promised."""

    #: The logical replication slot: this instance's alone, made when it is not there. Placeholders may stand in it.
    slot: Name
    #: The publication that has the table; somebody who owns the table makes it. Placeholders may stand in it.
    publication: Name
    #: Whether the first run takes the rows that are there already.
    snapshot: bool = True
    #: What a line says beside its row, named as Debezium's `add.fields`: `op` is the column `__op`, `source.ts_ms` is
    #: `__source_ts_ms`.
    fields: tuple[Literal["op", "lsn", "source.ts_ms", "source.txId"], ...] = ("op", "lsn")
    #: A run ends behind the transaction that makes so many bytes full; the next one goes on there.
    run_bytes: Annotated[int, Meta(ge=1024)] = 128 * 1024 * 1024


class Sql(Section, frozen=True, kw_only=True):
    """A table of a database, or what a query gives: all of it, what is new since the last run, or an interval."""

    #: Address, as SQLAlchemy writes it, without a password: `postgresql://reader@host/lims`, `mysql://reader@host/lims`,
    #: `sqlite:///lims.db` (a file, from `HAULIER_SOURCE_ROOT` on). Placeholders for parameters may stand in it.
    url: Name
    #: Which secret is the user's password.
    password: SecretName | None = None
    #: The table, with its schema where it has one: `public.results`.
    table: Name | None = None
    #: A file with one SELECT, seen from the definition file, in the table's place. In it, `{instance}`, parameters,
    #: and the run's interval as `{start}` and `{end}` are values, never text of the statement.
    query: Name | None = None
    #: Columns to read; none: all.
    columns: tuple[Name, ...] = ()
    #: Columns that put the rows in order; none: the table's primary key.
    key: tuple[Name, ...] = ()
    #: How far the table was read; none: every run reads all of it.
    watermark: Watermark | None = None
    #: Column whose value says which run's interval a row belongs to; what runs before it have read does not matter.
    interval: Name | None = None
    #: What happened to the table since the last run, deletions and all.
    changes: Changes | None = None
    #: Rows asked for at once, by `key`; none: one statement reads all.
    chunk_rows: Annotated[int, Meta(ge=1)] | None = None
    #: Longest time to wait for a connection.
    timeout_seconds: Annotated[int, Meta(ge=1, le=3600)] = 30
    #: What the query's file holds: filled in when a definition is read, never written in one.
    statement: str = ""

    @property
    def place(self) -> str:
        """The table or query in its database, without who asks."""
        scheme, _, rest = self.url.partition("?")[0].partition("://")
        host, slash, database = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{database}/{self.table or self.query}"

    @property
    def by_interval(self) -> bool:
        """Whether a run's interval says what it reads, and not how things stand."""
        return bool(self.interval or instants(self.statement))


class Custom(Section, frozen=True, kw_only=True):
    """A source of your own: a Python function of the folder `sources` that yields rows or files."""

    #: The function: `shop.orders` is `orders(asked)` in `sources/shop.py`, or in an installed module.
    use: Name
    #: What it is told, with placeholders: `{instance}`, `{pipeline}`, any parameter. Never a secret.
    options: dict[str, str | int | bool] = {}
    #: Of a text file that it yields. `complete`: its last line must end, else the file waits; `any`: it may not.
    last_line: Literal["complete", "any"] = "complete"


class Identifiers(Section, frozen=True, kw_only=True):
    """What may not be in a delivery: it is searched as a whole before a byte of it is kept, and one with a hit is refused."""

    #: Names that no column may have, nor a key inside nested JSON: `*` stands for anything, case does not matter.
    columns: tuple[Name, ...] = ()
    #: What it is called -> a regular expression that no cell may match anywhere (`^` and `$`: the cell's beginning and end),
    #: nor a line beside the rows, nor the file's name.
    patterns: dict[str, Name] = {}
    #: Columns whose names and cells are not looked at, by their names in the file.
    exempt: tuple[Name, ...] = ()


class Source(Section, frozen=True, kw_only=True):
    """Where the data comes from: files, an API, a database, or a source of your own."""

    #: Files that someone sends.
    files: Files | None = None
    #: An API.
    http: Http | None = None
    #: A database.
    sql: Sql | None = None
    #: A source of your own.
    custom: Custom | None = None
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
    #: What may not be in a delivery.
    identifiers: Identifiers | None = None

    @property
    def kind(self) -> str:
        """The section that says where the data comes from."""
        return next((kind for kind in KINDS if getattr(self, kind)), KINDS[0])

    @property
    def place(self) -> str:
        """Where that is, for people."""
        if self.sql:
            return self.sql.place
        if self.custom:
            return f"custom://{self.custom.use}"
        return self.http.url if self.http else self.files.path if self.files else ""

    @property
    def as_it_stands(self) -> bool:
        """Whether a run reads what is there when it runs, whichever interval it is of."""
        return self.sql is not None and not self.sql.by_interval

    @property
    def sends_events(self) -> bool:
        """Whether its rows say what happened to a row, which need not be all that the row is."""
        return bool((self.sql and self.sql.changes) or (self.jsonl and self.jsonl.debezium))

    @property
    def position(self) -> str | None:
        """Name of the ledger's state that says how far the source was read; none: it needs no such thing."""
        if self.sql is None:
            return None
        return "log" if self.sql.changes else "watermark" if self.sql.watermark else None

    def position_of(self, value: str) -> dict[str, str]:
        """The state that a person means by a value."""
        if self.sql and self.sql.changes:
            return {"slot": self.sql.changes.slot, "value": value}
        column = self.sql.watermark.column if self.sql and self.sql.watermark else ""
        return {"column": column, "value": value}

    @property
    def format(self) -> Format:
        """How a delivery's bytes become columns: what the definition names, or what the source itself makes."""
        made: Format = JsonLines() if self.http or self.custom else Parquet() if self.sql else Csv()
        if self.sql and self.sql.changes:
            # Each of its rows fitted into one cell of a database.
            made = JsonLines(record_bytes=LINE_BYTES)
        return next(iter(self.formats), made)

    @property
    def formats(self) -> tuple[Format, ...]:
        """The formats that are named: one at the most, or the definition is refused."""
        named = (self.csv, self.jsonl, self.fixed, self.excel, self.parquet)
        return tuple(form for form in named if form is not None)


#: The sections that say where data comes from.
KINDS = ("files", "http", "sql", "custom")
