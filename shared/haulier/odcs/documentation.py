"""What every object of the Open Data Contract Standard may carry, and those that are for people and other tools alone."""

from __future__ import annotations

from typing import Any

import msgspec


class Object(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An object of the standard: a key it does not have is an error."""


class AuthoritativeDefinition(Object, frozen=True, kw_only=True):
    """Where something is defined with authority."""

    id: str | None = None
    url: str
    type: str
    description: str | None = None


class CustomProperty(Object, frozen=True, kw_only=True):
    """A property the standard does not have."""

    id: str | None = None
    #: Its name. Haulier knows `nullValues`, `formats`, `softMinimum`, `softMaximum` and `howToFix` on a
    #: column, and `ordering` on the table.
    property: str
    value: Any
    description: str | None = None
    #: Whose property it is. Anything but `haulier` is left to others, whatever its name.
    vendor: str | None = None


class Documented(Object, frozen=True, kw_only=True):
    """What many objects carry."""

    tags: list[str] | None = None
    custom_properties: list[CustomProperty] | None = None
    authoritative_definitions: list[AuthoritativeDefinition] | None = None


class Support(Object, frozen=True, kw_only=True):
    """Where one finds help."""

    id: str | None = None
    channel: str
    url: str | None = None
    description: str | None = None
    tool: str | None = None
    scope: str | None = None
    invitation_url: str | None = None
    custom_properties: list[CustomProperty] | None = None


class Pricing(Object, frozen=True, kw_only=True):
    """What the data costs."""

    id: str | None = None
    price_amount: float | None = None
    price_currency: str | None = None
    price_unit: str | None = None


class TeamMember(Documented, frozen=True, kw_only=True):
    """Someone responsible."""

    id: str | None = None
    username: str
    name: str | None = None
    description: str | None = None
    role: str | None = None
    date_in: str | None = None
    date_out: str | None = None
    replaced_by_username: str | None = None


class Team(Documented, frozen=True, kw_only=True):
    """Who is responsible."""

    id: str | None = None
    name: str | None = None
    description: str | None = None
    members: list[TeamMember] | None = None


class Role(Object, frozen=True, kw_only=True):
    """Who may read the data."""

    id: str | None = None
    role: str | None = None
    description: str | None = None
    access: str | None = None
    first_level_approvers: str | None = None
    second_level_approvers: str | None = None
    custom_properties: list[CustomProperty] | None = None


class Quality(Documented, frozen=True, kw_only=True):
    """A quality rule for other tools; what Haulier enforces is said by the column's own fields."""

    id: str | None = None
    business_impact: str | None = None
    description: str | None = None
    dimension: str | None = None
    method: str | None = None
    name: str | None = None
    schedule: str | None = None
    scheduler: str | None = None
    severity: str | None = None
    type: str | None = None
    unit: str | None = None
    metric: str | None = None
    rule: str | None = None
    arguments: dict[str, Any] | None = None
    must_be: Any = None
    must_not_be: Any = None
    must_be_greater_than: float | None = None
    must_be_greater_or_equal_to: float | None = None
    must_be_less_than: float | None = None
    must_be_less_or_equal_to: float | None = None
    must_be_between: list[float] | None = None
    must_not_be_between: list[float] | None = None
    query: str | None = None
    engine: str | None = None
    implementation: str | dict[str, Any] | None = None


class Relationship(Object, frozen=True, kw_only=True):
    """A reference to another property."""

    id: str | None = None
    type: str | None = None
    from_: str | list[str] | None = msgspec.field(default=None, name="from")
    to: str | list[str] | None = None
    custom_properties: list[CustomProperty] | None = None


class VerifiedStatement(Documented, frozen=True, kw_only=True):
    """A question about the data with its answer."""

    id: str | None = None
    question: str
    answer: str | None = None


class Constraint(Documented, frozen=True, kw_only=True):
    """A limit of what the data can tell."""

    id: str | None = None
    constraint: str


class Context(Object, frozen=True, kw_only=True):
    """What a reader should know."""

    instructions: str | None = None
    verified_statements: list[VerifiedStatement] | None = None
    constraints: list[Constraint] | None = None
