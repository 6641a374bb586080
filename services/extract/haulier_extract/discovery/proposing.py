"""From a sample to the document of a contract, and what to look at in it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pyarrow as pa

from haulier_extract.discovery.guess import Guess
from haulier_extract.discovery.guessing import nested, of_texts, of_typed, writes_comma
from haulier_extract.discovery.sampling import Sample

#: So few different texts, each in so many rows on average, are a list of allowed values.
ENUM_VALUES, ENUM_ROWS, ENUM_LENGTH = 10, 10, 40
#: Fewer rows say nothing of a key by themselves: then its name must.
KEY_ROWS = 20
_KEY_COLUMNS, _KEY_WIDTH = 10, 3
_NAMED_LIKE_A_KEY = re.compile(r"(?:.*_)?(?:id|key|uuid|guid|code|no|nr|num|number|sku|ref)|id_.*|.*[a-z]id")
_NAME_BYTES = 63
#: Every table of PostgreSQL has these.
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
_LETTERS = {"ß": "ss", "æ": "ae", "ø": "o", "œ": "oe", "ł": "l", "đ": "d"}


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A contract's document as JSON has it, and beside it what the rest of a definition needs."""

    contract: dict[str, Any]
    transform: dict[str, Any]
    #: The columns that tell rows apart in the sample; none: no such column was found.
    key: list[str]
    #: Column -> what to look at.
    remarks: dict[str, list[str]]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Column:
    name: str
    source: str
    guess: Guess
    #: Each row's value as text; ``None``: it has none.
    values: list[str | None]

    @property
    def has_empty(self) -> bool:
        return any(value is None or not value.strip() for value in self.values)

    @property
    def is_unique(self) -> bool:
        return not self.has_empty and len(set(self.values)) == len(self.values)

    @property
    def may_be_key(self) -> bool:
        text = self.guess.logical == "string"
        return (text or self.guess.logical == "integer") and not self.has_empty

    @property
    def is_named_like_a_key(self) -> bool:
        return bool(_NAMED_LIKE_A_KEY.fullmatch(self.name))

    @property
    def enum(self) -> list[str] | None:
        """Its few texts; never those of a column with blanks around them or none at all."""
        counts = Counter(value for value in self.values if value is not None)
        if self.guess.logical != "string" or self.guess.physical or not 1 < len(counts) <= ENUM_VALUES:
            return None
        if sum(counts.values()) < ENUM_ROWS * len(counts) or min(counts.values()) < 2:
            return None
        good = all(v and v == v.strip() and len(v) <= ENUM_LENGTH and v.isprintable() for v in counts)
        return sorted(counts) if good else None


def proposal(sample: Sample, table: str, known_key: Sequence[str] = ()) -> Proposal:
    """``known_key``: what the source says of the key by itself. Raises nothing: what cannot be told is text."""
    texts = {name: _texts(sample.table.column(name)) for name in sample.names}
    comma, notes = _mark(sample, texts)
    names, twins = _names(sample.names)
    columns = []
    for source, name in names.items():
        array = sample.table.column(source)
        guess = _guess(sample, array, {value for value in texts[source] if value is not None}, comma=comma)
        columns.append(_Column(name=name, source=source, guess=guess, values=texts[source]))
    if twins:
        shown = ", ".join(f'"{name}"' for name in twins)
        notes.append(f"left out, because another column's name differs in case only: {shown}")
    key = [column.name for column in columns if column.source in known_key] or _key(
        columns, sample.table.num_rows
    )
    schema, _, base = table.rpartition(".")
    properties = [_property(column, key) for column in columns]
    contract = {
        "apiVersion": "v3.2.0",
        "kind": "DataContract",
        "id": base,
        "version": "1.0.0",
        "status": "draft",
        "schema": [{"name": base, "physicalName": f"{schema or 'landing'}.{base}", "properties": properties}],
    }
    return Proposal(
        contract=contract,
        transform={"decimal_mark": ","} if comma else {},
        key=key,
        remarks={column.name: _remarks(column, key) for column in columns},
        notes=tuple(notes),
    )


def _guess(sample: Sample, array: Any, distinct: set[str], *, comma: bool) -> Guess:
    if not pa.types.is_string(array.type):
        return of_typed(array.combine_chunks())
    if sample.section == "parquet":
        # Its writer says that this is text, or it was nested.
        return Guess(logical=nested(distinct) or "string")
    return of_texts(distinct, comma=comma, json_values=sample.section == "jsonl")


def _texts(array: Any) -> list[str | None]:
    from haulier.texts import texts_of

    found: list[str | None] = [text for chunk in array.chunks for text in texts_of(chunk).to_pylist()]
    return found


def _mark(sample: Sample, texts: dict[str, list[str | None]]) -> tuple[bool, list[str]]:
    """Whether fractions stand behind a comma; in one source they all stand behind the same mark."""
    if sample.section == "parquet":
        return False, []
    said = {
        name: writes_comma({value for value in values if value is not None})
        for name, values in texts.items()
        if pa.types.is_string(sample.table.schema.field(name).type)
    }
    commas = [name for name, comma in said.items() if comma]
    points = [name for name, comma in said.items() if comma is False]
    if commas and points:
        return False, [
            f"fractions are written with commas ({', '.join(commas[:3])}) and with points ({', '.join(points[:3])}); "
            "transform.decimal_mark is one for all, so those with commas stay text"
        ]
    return bool(commas), []


def _names(sources: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Source name -> a name SQL takes without quotes; and those that nothing tells from another."""
    folds = Counter(source.strip().casefold() for source in sources)
    usable = [source for source in sources if folds[source.strip().casefold()] == 1]
    # What is a good name already keeps it; the others step aside.
    taken = {source for source in usable if _plain(source) == source}
    # An alias may be nobody's name: a header could not tell the two apart.
    spoken = {source.casefold() for source in usable}
    names: dict[str, str] = {}
    for position, source in enumerate(usable, start=1):
        if source in taken:
            names[source] = source
            continue
        base, number = _plain(source) or f"column_{position}", 1
        name = base
        while name in taken or (name in spoken and name != source.casefold()):
            number += 1
            name = f"{base[: _NAME_BYTES - 5]}_{number}"
        taken.add(name)
        names[source] = name
    return names, [source for source in sources if source not in names]


def _plain(source: str) -> str:
    """In small letters, digits and underscores; empty when nothing of it is left."""
    text = "".join(_LETTERS.get(letter, letter) for letter in source.casefold())
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    text = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[: _NAME_BYTES - 5].strip("_")
    if text[:1].isdigit():
        text = f"n_{text}"
    return f"{text}_" if text in _SYSTEM_COLUMNS else text


def _key(columns: Sequence[_Column], rows: int) -> list[str]:
    """The narrowest key of the sample: first a column named like one, then any, then two or three together."""
    if rows < 2:
        return []
    able = [column for column in columns if column.may_be_key]
    for column in sorted(able, key=lambda one: (not one.is_named_like_a_key, one.guess.logical != "integer")):
        if column.is_unique and (column.is_named_like_a_key or rows >= KEY_ROWS):
            return [column.name]
    if rows < KEY_ROWS:
        return []
    dated = [c for c in columns if c.guess.logical in ("date", "timestamp", "time") and not c.has_empty]
    members = [one for one in columns if one in able or one in dated][:_KEY_COLUMNS]
    for width in range(2, _KEY_WIDTH + 1):
        for chosen in combinations(members, width):
            if not any(one.is_named_like_a_key for one in chosen):
                continue
            if len(set(zip(*(one.values for one in chosen), strict=True))) == rows:
                return [one.name for one in chosen]
    return []


def _property(column: _Column, key: Sequence[str]) -> dict[str, Any]:
    guess = column.guess
    written: dict[str, Any] = {"name": column.name, "logicalType": guess.logical}
    if guess.physical:
        written["physicalType"] = guess.physical
    if column.name in key:
        written |= {"primaryKey": True, "primaryKeyPosition": key.index(column.name) + 1}
    if not column.has_empty and column.values:
        written["required"] = True
    if guess.format:
        written["logicalTypeOptions"] = {"format": guess.format}
    if column.name not in key and (enum := column.enum):
        written["enum"] = [{"value": value} for value in enum]
    if column.source.casefold() != column.name:
        written["synonyms"] = [{"synonym": column.source}]
    return written


def _remarks(column: _Column, key: Sequence[str]) -> list[str]:
    remarks = list(column.guess.remarks)
    if column.name in key:
        with_others = " together with the other key columns" if len(key) > 1 else ""
        remarks.append(f"tells every row of the sample apart{with_others}: is it the key?")
    elif column.is_unique and column.may_be_key and len(column.values) >= KEY_ROWS:
        remarks.append("different in every row of the sample: unique?")
    if column.name not in key and column.enum:
        remarks.append("these values and no others were seen: a new one would be rejected")
    return remarks
