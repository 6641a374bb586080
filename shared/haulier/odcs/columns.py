"""One column of a contract: its type, limits and names, or every reason why it cannot be kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast

from haulier.contracts import Column, LogicalType
from haulier.formats import problem_for
from haulier.odcs.documentation import CustomProperty
from haulier.odcs.pgtypes import FITTING, USUAL, NotAType, base_of, logical_type_of, normalised
from haulier.odcs.standard import EnumValue, LogicalTypeOptions, Property
from haulier.odcs.values import Limit, literal, needs_quotes, text_of, useless_limits
from haulier.patterns import problems_of_regex
from haulier.problems import Problem, Trail, listed, nearest, quoted, suggestion

#: What Haulier reads from ``customProperties``, by where it stands: name -> what it means.
CUSTOM_PROPERTIES: dict[str, dict[str, str]] = {
    "column": {
        "nullValues": 'List of cells that mean "no value" in this column, beside the empty one.',
        "formats": "List of formats (`strptime`, or `iso`) tried in order; in place of the option `format`.",
        "softMinimum": "Below it the row enters and is flagged.",
        "softMaximum": "Above it the row enters and is flagged.",
        "deletes": "List of values that say: the row with this key is gone in its source. The column is read and not "
        "stored; such a row needs its key, the ordering column and this one, and no other.",
        "truncates": "With `deletes`: list of values that say: every row of this instance is gone that is older than this one. "
        "Such a row needs the ordering column and this one, and no key.",
        "unchangedValues": 'List of cells that mean "as it was" in this column, such as `__debezium_unavailable_value`: an '
        "update keeps the value that the row has. For `load.mode: upsert`, with `ordering`.",
        "howToFix": "What the sender can do about a value that breaks a rule; in reject reports.",
    },
    "table": {
        "ordering": "Column whose greater value is the newer row; without one, the later interval is newer.",
        "validTo": "Column of the table that says until when a version of a row holds, from its ordering column on "
        "(null: still); every version of a row then stays. For `load.mode: scd2`.",
        "isCurrent": "With `validTo`: column of the table that says whether a version holds still (`boolean`).",
        "partitions": "Mapping of `partitioned` columns to what a partition holds: one `day`, `month` or `year` (UTC), or one "
        "value (`list`). Without it, dates and times go by `month`, all else by `list`.",
        "partitionsAhead": "How many periods beyond the one in which a run ends get their partition ahead of need; default 1.",
        "indexes": "List of indexes, such as `{columns: [subject, collected]}`; `using: brin` for columns that grow as rows "
        "arrive, `using: gin` for jsonb; else a B-tree. The first load makes them once its rows are there.",
        "deletedAt": "Column of the table that says since when a row is deleted in its source (`timestamptz`): the row "
        "stays. Without it, a deleted row leaves the table and its history keeps it. A column with `deletes` says which rows "
        "are deleted, or `load.removal_threshold`, by which rows go that cumulative files no longer have.",
    },
}
#: logicalType -> the options Haulier enforces.
OPTIONS: dict[str, tuple[str, ...]] = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"),
    "boolean": (),
    "date": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"),
    "timestamp": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format", "timezone"),
    "time": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "format"),
    "object": (),
    "array": (),
}
# Not `msgspec.structs.fields`, which reads the annotations anew: two thirds of the time to load a contract.
_OPTION_NAMES = tuple(
    zip(LogicalTypeOptions.__struct_fields__, LogicalTypeOptions.__struct_encode_fields__, strict=True)
)
_DATED = ("date", "timestamp", "time")
_UNLISTED = ("object", "array")
_INTEGERS = {"i16": "smallint", "i32": "integer", "i64": "bigint"}
_APPROVED = (None, "approved", "active")
_ELSEWHERE = {
    "defaultTimezone": "is the sender's matter; write transform.time_zone in the pipeline",
    "multipleOf": "is not enforced; check it in a function of the pipeline and remove it here",
}


def custom_properties(
    given: list[CustomProperty] | None, level: str, here: Trail, problems: list[Problem]
) -> dict[str, tuple[Any, Trail]]:
    """The properties Haulier knows on this level, with where their values stand; the rest is for others."""
    found: dict[str, tuple[Any, Trail]] = {}
    known = CUSTOM_PROPERTIES[level]
    elsewhere = {
        name: other for other, names in CUSTOM_PROPERTIES.items() if other != level for name in names
    }
    for index, one in enumerate(given or ()):
        trail: Trail = (*here, "customProperties", index)
        if one.vendor not in (None, "haulier"):
            continue
        if one.property in found:
            problems.append(Problem(trail, "is given twice", " "))
        elif one.property in known:
            found[one.property] = (one.value, (*trail, "value"))
        elif one.property in elsewhere:
            problems.append(Problem(trail, f"belongs to a {elsewhere[one.property]}, not to a {level}", " "))
        elif one.vendor == "haulier" or nearest(one.property, known, cutoff=0.75):
            hint = suggestion(one.property, known)
            text = f"is not a property Haulier knows{hint} Another tool's property names its vendor"
            problems.append(Problem(trail, text, " "))
    return found


class ColumnReader:
    """Reads one property; `problems` has what is wrong with it."""

    def __init__(self, written: Property, trail: Trail) -> None:
        self._written = written
        self._trail = trail
        self._options = written.logical_type_options or LogicalTypeOptions()
        self.problems: list[Problem] = []

    def column(self, key_position: int | None) -> Column | None:
        """The column, or None when its name or type cannot be told."""
        written = self._written
        name = written.physical_name if written.physical_name is not None else written.name
        if name is None:
            self._refuse("is missing", "name", joint=" ")
            return None
        logical = self._logical_type()
        pg_type = self._pg_type(logical) if logical else None
        if logical is None or pg_type is None:
            return None
        self._check_options(logical, pg_type)
        custom = custom_properties(written.custom_properties, "column", self._trail, self.problems)
        limits = self._limits(logical, pg_type, custom)
        return Column(
            name=name,
            logical_type=cast(LogicalType, logical),
            pg_type=pg_type,
            description=written.description or "",
            required=bool(written.required or written.primary_key),
            unique=bool(written.unique),
            key_position=key_position,
            derived=bool(written.transform_logic),
            enum=self._enum(logical, pg_type),
            pattern=self._pattern(),
            min_length=self._options.min_length,
            max_length=self._max_length(pg_type),
            formats=self._formats(logical, custom.get("formats")),
            null_values=self._texts(custom.get("nullValues")),
            aliases=self._aliases(name),
            how_to_fix=self._text(custom.get("howToFix")),
            classification=written.classification,
            deletes=self._marks(custom.get("deletes"), "D", logical, pg_type),
            truncates=self._truncates(custom, logical, pg_type),
            unchanged_values=self._unchanged_values(custom.get("unchangedValues")),
            minimum=limits["minimum"],
            maximum=limits["maximum"],
            exclusive_minimum=limits["exclusive_minimum"],
            exclusive_maximum=limits["exclusive_maximum"],
            soft_minimum=limits["soft_minimum"],
            soft_maximum=limits["soft_maximum"],
        )

    def _refuse(self, text: str, *inside: str | int, joint: str = ": ") -> None:
        self.problems.append(Problem((*self._trail, *inside), text, joint))

    def _logical_type(self) -> str | None:
        written = self._written
        if written.logical_type in ("map", "vector"):
            self._refuse(
                f'{quoted(written.logical_type)} is not loaded; write "object" or "array" (jsonb)',
                "logicalType",
            )
            return None
        if written.logical_type is not None:
            return written.logical_type
        if written.physical_type is None:
            self._refuse("is missing", "logicalType", joint=" ")
            return None
        try:
            return logical_type_of(normalised(written.physical_type))
        except NotAType as exc:
            self._refuse(str(exc), "physicalType")
            return None

    def _pg_type(self, logical: str) -> str | None:
        chosen, place = self._chosen_by_options(logical)
        if self._written.physical_type is None:
            return chosen or USUAL[logical]
        try:
            pg_type = normalised(self._written.physical_type)
        except NotAType as exc:
            self._refuse(str(exc), "physicalType")
            return None
        fits = base_of(pg_type) in FITTING[logical] and not (logical == "integer" and _has_fraction(pg_type))
        if not fits:
            self._refuse(
                f"{quoted(self._written.physical_type)} does not hold {logical} values; write "
                f"{quoted(USUAL[logical])}, or logicalType: {logical_type_of(pg_type)}",
                "physicalType",
            )
            return None
        if chosen is not None and chosen != pg_type:
            self._refuse(f"means {chosen}, physicalType is {pg_type}", *place, joint=" ")
        return pg_type

    def _chosen_by_options(self, logical: str) -> tuple[str | None, tuple[str, ...]]:
        """A type that ``logicalTypeOptions`` asks for, and where."""
        options, place = self._options, ("logicalTypeOptions", "format")
        if logical == "integer" and options.format is not None:
            if options.format in _INTEGERS:
                return _INTEGERS[options.format], place
            self._refuse(
                f"{quoted(options.format)} is no type of PostgreSQL; write one of {listed(list(_INTEGERS))}",
                *place,
            )
        if logical == "number" and options.format is not None:
            if options.format == "f64":
                return "double precision", place
            self._refuse(
                f'{quoted(options.format)} is not loaded; write "f64", or leave it out for exact numbers',
                *place,
            )
        if logical == "timestamp" and options.timezone is not None:
            return "timestamptz" if options.timezone else "timestamp", ("logicalTypeOptions", "timezone")
        return None, ()

    def _check_options(self, logical: str, pg_type: str) -> None:
        allowed = () if pg_type == "uuid" else OPTIONS[logical]
        for field, name in _OPTION_NAMES:
            if getattr(self._options, field) is None or name in allowed:
                continue
            if name in _ELSEWHERE:
                self._refuse(_ELSEWHERE[name], "logicalTypeOptions", name, joint=" ")
            elif any(name in names for names in OPTIONS.values()):
                has = f"; it has {listed(allowed, 'and')}" if allowed else ", which has none"
                self._refuse(f"is not an option of {pg_type}{has}", "logicalTypeOptions", name, joint=" ")
            else:
                self._refuse("is not enforced by Haulier; remove it", "logicalTypeOptions", name, joint=" ")

    def _limits(
        self, logical: str, pg_type: str, custom: dict[str, tuple[Any, Trail]]
    ) -> dict[str, str | None]:
        options, inside = self._options, (*self._trail, "logicalTypeOptions")
        given: dict[str, tuple[Any, Trail] | None] = {
            "minimum": (options.minimum, (*inside, "minimum")),
            "maximum": (options.maximum, (*inside, "maximum")),
            "exclusive_minimum": (options.exclusive_minimum, (*inside, "exclusiveMinimum")),
            "exclusive_maximum": (options.exclusive_maximum, (*inside, "exclusiveMaximum")),
            "soft_minimum": custom.get("softMinimum"),
            "soft_maximum": custom.get("softMaximum"),
        }
        found = {
            name: limit
            for name, pair in given.items()
            if pair and pair[0] is not None and (limit := self._limit(*pair, logical, pg_type)) is not None
        }
        self.problems += useless_limits(found)
        return {name: str(found[name]) if name in found else None for name in given}

    def _limit(self, value: Any, trail: Trail, logical: str, pg_type: str) -> Limit | None:
        if "minimum" not in OPTIONS[logical]:
            if trail[-1] == "value":
                self.problems.append(Problem(trail, f"{logical} values have no limits"))
            return None
        if isinstance(value, str) and logical not in _DATED:
            self.problems.append(Problem(trail, f"{quoted(value)} is text; write the number without quotes"))
            return None
        try:
            return Limit(literal(value, logical, pg_type), trail)
        except ValueError as exc:
            self.problems.append(Problem(trail, str(exc)))
            return None

    def _pattern(self) -> str | None:
        if self._options.pattern is not None:
            trail = (*self._trail, "logicalTypeOptions", "pattern")
            self.problems += problems_of_regex(self._options.pattern, trail, only_regular=True)
        return self._options.pattern

    def _max_length(self, pg_type: str) -> int | None:
        """``maxLength``, else what the type holds: the database would refuse the whole batch for it."""
        given, least = self._options.max_length, self._options.min_length
        holds = int(pg_type[8:-1]) if pg_type.startswith("varchar(") else None
        if given is not None and holds is not None and given > holds:
            self._refuse(f"{given} does not fit physicalType {pg_type}", "logicalTypeOptions", "maxLength")
        if given is not None and least is not None and given < least:
            self._refuse(
                f"{given} leaves no value beside minLength {least}", "logicalTypeOptions", "maxLength"
            )
        return given if given is not None else holds

    def _formats(self, logical: str, custom: tuple[Any, Trail] | None) -> tuple[str, ...]:
        option = self._options.format if logical in _DATED else None
        if custom is None and option is None:
            return ("iso",)
        trail = custom[1] if custom else (*self._trail, "logicalTypeOptions", "format")
        if custom and logical not in _DATED:
            self.problems.append(Problem(trail, f"{logical} values have no formats"))
            return ("iso",)
        if custom and option is not None:
            self.problems.append(
                Problem(trail, "logicalTypeOptions.format is given too; keep one of the two")
            )
        formats = self._texts(custom) if custom else (option or "",)
        if not formats:
            self.problems.append(Problem(trail, "names no format", " "))
        for text in formats:
            if reason := problem_for(text, logical):
                self.problems.append(Problem(trail, reason))
        return formats

    def _truncates(self, custom: dict[str, tuple[Any, Trail]], logical: str, pg_type: str) -> tuple[str, ...]:
        found = self._marks(custom.get("truncates"), "T", logical, pg_type)
        if found is None:
            return ()
        trail = custom["truncates"][1]
        if "deletes" not in custom:
            self.problems.append(Problem(trail, "stands alone; give deletes as well", " "))
            return ()
        return found

    def _unchanged_values(self, given: tuple[Any, Trail] | None) -> tuple[str, ...]:
        if given is None:
            return ()
        if self._written.primary_key or self._written.unique or self._written.transform_logic:
            text = "stands on a column that is in the key, unique or computed: its value has to be known"
            self.problems.append(Problem(given[1], text, " "))
        return self._texts(given)

    def _marks(
        self, given: tuple[Any, Trail] | None, example: str, logical: str, pg_type: str
    ) -> tuple[str, ...] | None:
        if given is None:
            return None
        value, trail = given
        if not isinstance(value, list) or not value:
            self.problems.append(
                Problem(trail, f"{quoted(value)} is not a list of values; write [{example}]")
            )
            return None
        if logical in _UNLISTED:
            self.problems.append(Problem(trail, f"{logical} values cannot be listed"))
            return None
        if self._written.primary_key:
            self.problems.append(Problem(trail, "stands on a key column, which says which row is gone", " "))
        found: list[str] = []
        for index, one in enumerate(value):
            one = Decimal(repr(one)) if isinstance(one, float) else one
            try:
                found.append(text_of(literal(one, logical, pg_type)))
            except ValueError as exc:
                self.problems.append(Problem((*trail, index), str(exc)))
        return tuple(found)

    def _enum(self, logical: str, pg_type: str) -> tuple[str, ...] | None:
        written = self._written.enum
        if written is None:
            return None
        if logical in _UNLISTED:
            self._refuse(f"{logical} values cannot be listed", "enum")
            return None
        if not written:
            self._refuse("allows no value", "enum", joint=" ")
        values: list[str] = []
        for index, one in enumerate(written):
            value, place = (one.value, ("value",)) if isinstance(one, EnumValue) else (one, ())
            if isinstance(value, float):
                value = Decimal(repr(value))
            try:
                text = text_of(literal(value, logical, pg_type))
            except ValueError as exc:
                self._refuse(str(exc), "enum", index, *place)
                continue
            if text in values:
                self._refuse(f"{quoted(text)} is there already", "enum", index, *place)
            values.append(text)
        return tuple(values)

    def _aliases(self, name: str) -> tuple[str, ...]:
        approved = (
            one for one in self._written.synonyms or () if (one.status and one.status.casefold()) in _APPROVED
        )
        return tuple(dict.fromkeys(one.synonym for one in approved if one.synonym != name))

    def _texts(self, given: tuple[Any, Trail] | None) -> tuple[str, ...]:
        if given is None:
            return ()
        value, trail = given
        if not isinstance(value, list):
            self.problems.append(Problem(trail, f"{quoted(value)} is not a list; write [{quoted(value)}]"))
            return ()
        for index, one in enumerate(value):
            if not isinstance(one, str):
                self.problems.append(Problem((*trail, index), needs_quotes(one)))
        return tuple(one for one in value if isinstance(one, str))

    def _text(self, given: tuple[Any, Trail] | None) -> str:
        if given is None:
            return ""
        if not isinstance(given[0], str):
            self.problems.append(Problem(given[1], needs_quotes(given[0])))
        return str(given[0])


def _has_fraction(pg_type: str) -> bool:
    return base_of(pg_type) == "numeric" and not pg_type.endswith(",0)")
