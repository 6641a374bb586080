"""Cells that have a type of the source's own, as Parquet and databases give them.

A type that is exactly the contract's is taken as it is, its values still judged. Any other goes through
its text, in which nothing is lost, so that the contract decides as it does for text: a whole number may
fill a numeric column, a float that has more decimals than the contract keeps may not.
"""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from haulier import rows
from haulier.contracts import Column
from haulier.definitions import Transform
from haulier.texts import texts_of
from haulier_transform import parsing
from haulier_transform.arrays import Array, Parsed, Parser
from haulier_transform.conform import conformed

_MIDNIGHT = " 00:00:00$"


def taken(array: Array, column: Column) -> Parsed | None:
    """The values as they are; ``None`` where their type is another than the contract's."""
    # A time of Arrow's may be no time of day: 25:00 is a number like any other. Its text tells.
    if array.type != rows.arrow_type(column.pg_type) or pa.types.is_time(array.type):
        return None
    return conformed(array, column)


def texts_for(array: Array, pg_type: str) -> Array:
    """The values' text, as a column of that type reads it."""
    texts = texts_of(array)
    if pg_type == "date" and pa.types.is_timestamp(array.type) and array.type.tz is None:
        # Many writers know no dates. With a zone it would be a guess whose midnight is meant.
        texts = pc.replace_substring_regex(texts, _MIDNIGHT, "")
    return texts


def parser_of(column: Column, transform: Transform) -> Parser:
    """Reads such texts: formats and decimal marks are about text that people wrote."""
    return parsing.parser_of(
        msgspec.structs.replace(column, formats=("iso",)), Transform(time_zone=transform.time_zone)
    )
