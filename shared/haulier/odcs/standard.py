"""The Open Data Contract Standard, v3.0 to v3.2, as structs: every field it has, and no other.

A field with a comment is one Haulier acts on; the others are for people and other tools, and must
have the standard's shape. `haulier.odcs` turns a document into a `haulier.contracts.Contract`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from haulier.odcs.documentation import (
    AuthoritativeDefinition,
    Context,
    CustomProperty,
    Documented,
    Object,
    Pricing,
    Quality,
    Relationship,
    Role,
    Support,
    Team,
    TeamMember,
)

Scalar = str | int | float | bool
#: A number for numbers, text for dates and times; kept as written, so that no binary float loses a digit.
Limit = Annotated[Any, Meta(extra_json_schema={"type": ["number", "string"]})]


class Server(Object, frozen=True, kw_only=True):
    """Where the data lives. Where Haulier connects to comes from the environment, never from here."""

    id: str | None = None
    server: str
    #: With `postgresql` or `postgres`, `schema` below is where a table without one belongs.
    type: str
    description: str | None = None
    environment: str | None = None
    roles: list[Role] | None = None
    custom_properties: list[CustomProperty] | None = None
    account: str | None = None
    catalog: str | None = None
    catalog_url: str | None = None
    database: str | None = None
    dataset: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    endpoint_url: str | None = None
    format: str | None = None
    host: str | None = None
    location: str | None = None
    namespace: str | None = None
    path: str | None = None
    port: int | str | None = None
    project: str | None = None
    region: str | None = None
    region_name: str | None = None
    #: Schema of a table whose name has none.
    schema: str | None = None
    service_name: str | None = None
    staging_dir: str | None = None
    stream: str | None = None
    warehouse: str | None = None
    workgroup: str | None = None


class ServiceLevel(Object, frozen=True, kw_only=True):
    """A promise about the service: freshness, retention and so on."""

    id: str | None = None
    #: `latency`: the longest time from a run's end to its rows in the table; past it a run is late. Others are
    #: documentation.
    property: str
    #: How long, for `latency`.
    value: Scalar | None
    value_ext: Scalar | None = None
    #: `d`, `h`, `min` or `s`, for `latency`.
    unit: str | None = None
    element: str | None = None
    driver: str | None = None
    description: str | None = None
    scheduler: str | None = None
    schedule: str | None = None
    custom_properties: list[CustomProperty] | None = None
    authoritative_definitions: list[AuthoritativeDefinition] | None = None


class Description(Object, frozen=True, kw_only=True):
    """What the data is for."""

    usage: str | None = None
    purpose: str | None = None
    limitations: str | None = None
    authoritative_definitions: list[AuthoritativeDefinition] | None = None
    custom_properties: list[CustomProperty] | None = None


class Synonym(Object, frozen=True, kw_only=True):
    """Another name of a column."""

    id: str | None = None
    #: The other name, as a source's header may have it.
    synonym: str
    description: str | None = None
    locale: str | None = None
    source: str | None = None
    #: `approved`, `active` or none: a header may use it. Anything else (`proposed`, `retired`): it may not.
    status: str | None = None
    custom_properties: list[CustomProperty] | None = None


class EnumValue(Documented, frozen=True, kw_only=True):
    """A value the column may have."""

    id: str | None = None
    #: The value itself; text needs quotes where YAML would read something else.
    value: Annotated[Any, Meta(extra_json_schema={"type": ["string", "number", "boolean"]})]
    label: str | None = None
    description: str | None = None


class LogicalTypeOptions(Object, frozen=True, kw_only=True):
    """Limits of a column's values. One that Haulier would not enforce is refused."""

    #: Text: fewest characters.
    min_length: Annotated[int, Meta(ge=0)] | None = None
    #: Text: most characters.
    max_length: Annotated[int, Meta(ge=0)] | None = None
    #: Text: regular expression the value must match.
    pattern: str | None = None
    #: Dates and times: how the source writes them, as `strptime` says it (not as Java does), or `iso`.
    #: Integers: `i16`, `i32` or `i64` chooses the type; numbers: `f64` does. Text: for people only.
    format: str | None = None
    #: Least allowed value.
    minimum: Limit | None = None
    #: Greatest allowed value.
    maximum: Limit | None = None
    #: Every value is greater than this.
    exclusive_minimum: Limit | None = None
    #: Every value is less than this.
    exclusive_maximum: Limit | None = None
    #: Timestamps: `false` for local wall time without a zone (`timestamp`), else `timestamptz`.
    timezone: bool | None = None
    default_timezone: str | None = None
    multiple_of: Limit | None = None
    max_properties: int | None = None
    min_properties: int | None = None
    required: list[str] | None = None
    max_items: int | None = None
    min_items: int | None = None
    unique_items: bool | None = None
    dimensions: int | None = None
    element_type: str | None = None
    distance_metric: str | None = None
    embedding_model: str | None = None
    embedding_model_version: str | None = None
    normalized: bool | None = None


class _Element(Documented, frozen=True, kw_only=True):
    """What tables and columns have in common."""

    id: str | None = None
    name: str | None = None
    physical_type: str | None = None
    description: str | None = None
    business_name: str | None = None
    deprecated: bool | None = None
    synonyms: list[Synonym] | None = None


class MapDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys and values of a map."""

    key: Property
    value: Property


class Property(_Element, frozen=True, kw_only=True):
    """A column."""

    #: The column's name, unless `physicalName` gives another.
    name: str | None = None
    #: The column's name in PostgreSQL.
    physical_name: str | None = None
    #: What kind of value it holds; `map` and `vector` are not loaded.
    logical_type: (
        Literal[
            "string",
            "integer",
            "number",
            "boolean",
            "date",
            "timestamp",
            "time",
            "object",
            "array",
            "map",
            "vector",
        ]
        | None
    ) = None
    #: PostgreSQL's type; without one, the usual type for `logicalType`.
    physical_type: str | None = None
    #: Limits of its values.
    logical_type_options: LogicalTypeOptions | None = None
    #: What it means; also the column's comment.
    description: str | None = None
    #: Whether it must have a value.
    required: bool | None = None
    #: Whether no two rows may have the same value.
    unique: bool | None = None
    #: Whether it is part of the primary key, which says which row is which.
    primary_key: bool | None = None
    #: 1, 2, … where the primary key has several columns; none: in the order of the file.
    primary_key_position: int | None = None
    #: The only values it may have: text, or objects with `value`.
    enum: list[EnumValue | str | int | float | bool] | None = None
    #: How confidential it is, such as `restricted`. What is `blinded` reaches no list for the sender of the files:
    #: docs/queries.md.
    classification: str | None = None
    #: Other names of the column; approved ones are found in a source's header.
    synonyms: list[Synonym] | None = None
    #: How it is computed. With it, the column is filled by the pipeline's functions and not read from
    #: the source.
    transform_logic: str | None = None
    #: `nullValues`, `formats`, `softMinimum`, `softMaximum`, `deletes`, `howToFix`; the rest is left to others.
    custom_properties: list[CustomProperty] | None = None
    #: Whether rows are kept in partitions by its value; at most a date or time and one other column.
    partitioned: bool | None = None
    #: 1 for the column of the outer partitions, 2 for that of the inner ones; none: in the order of the file.
    partition_key_position: int | None = None
    semantic_type: str | None = None
    encrypted_name: str | None = None
    transform_source_objects: list[str] | None = None
    transform_description: str | None = None
    examples: list[Any] | None = None
    critical_data_element: bool | None = None
    relationships: list[Relationship] | None = None
    quality: list[Quality] | None = None
    properties: list[Property] | None = None
    items: Property | None = None
    map: MapDefinition | None = None


class SchemaObject(_Element, frozen=True, kw_only=True):
    """A table."""

    #: The table's name, unless `physicalName` gives another.
    name: str
    #: `table`, or nothing.
    physical_type: str | None = None
    #: The table in PostgreSQL, `schema.table`; a bare `table` takes its schema from `servers`.
    physical_name: str | None = None
    #: What a row is; also the table's comment.
    description: str | None = None
    #: The columns, in their order.
    properties: list[Property] | None = None
    #: `ordering`: the column whose greater value is the newer row. `deletedAt`: what becomes of deleted rows.
    #: `validTo`, `isCurrent`: every version of a row stays, with the time it holds. `partitions`, `partitionsAhead`:
    #: what a partition holds, and how many are made ahead. `indexes`: indexes beside that of the key.
    custom_properties: list[CustomProperty] | None = None
    logical_type: Literal["object"] | None = None
    data_granularity_description: str | None = None
    relationships: list[Relationship] | None = None
    quality: list[Quality] | None = None
    context: Context | str | None = None


class Document(Documented, frozen=True, kw_only=True):
    """A data contract of the Open Data Contract Standard v3, about one table."""

    #: `v3.0.0` to `v3.2.x`.
    api_version: str
    #: Always `DataContract`.
    kind: Literal["DataContract"]
    #: Identifies the contract, whatever its version.
    id: str
    #: The contract's own version; recorded with every run.
    version: str
    #: One table, in a list of one.
    schema: list[SchemaObject] | None = None
    #: Where a table without a schema belongs; see `schema` there.
    servers: list[Server] | None = None
    name: str | None = None
    tenant: str | None = None
    status: str | None = None
    data_product: str | None = None
    #: `purpose` describes the table when the table has no description of its own.
    description: Description | None = None
    domain: str | None = None
    support: list[Support] | None = None
    price: Pricing | None = None
    team: Team | list[TeamMember] | None = None
    roles: list[Role] | None = None
    sla_default_element: str | None = None
    sla_properties: list[ServiceLevel] | None = None
    context: Context | str | None = None
    contract_created_ts: str | None = None
