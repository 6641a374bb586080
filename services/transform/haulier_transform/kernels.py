"""The Arrow kernels that text is read with, under the names `pyarrow.compute` gives them.

Importing that module writes the documentation of 280 functions, which takes 36 ms of a start that
has 90 beside numpy; the methods of arrays (``take``, ``filter``, ``is_valid``) import it as well.
"""

from __future__ import annotations

from typing import Any

from pyarrow import _compute
from pyarrow._compute import call_function

Array = Any


def cast(array: Array, arrow_type: Any) -> Array:
    """Raises `pyarrow.ArrowInvalid` for the whole array when one value does not fit."""
    return call_function("cast", [array], _compute.CastOptions.safe(arrow_type))


def compared(how: str, array: Array, scalar: Any) -> Array:
    """``how``: less, less_equal, greater or greater_equal."""
    return call_function(how, [array, scalar])


def count_distinct(array: Array) -> int:
    return int(call_function("count_distinct", [array], _compute.CountOptions("only_valid")).as_py())


def dictionary_encode(array: Array) -> Array:
    """Null becomes a value of the dictionary, so that no index is null."""
    return call_function("dictionary_encode", [array], _compute.DictionaryEncodeOptions("encode"))


def extract_regex(texts: Array, pattern: str) -> Array:
    return call_function("extract_regex", [texts], _compute.ExtractRegexOptions(pattern))


def filter_(array: Array, mask: Array) -> Array:
    return call_function("filter", [array, mask])


def if_else(condition: Array, left: Array, right: Array) -> Array:
    return call_function("if_else", [condition, left, right])


def index_in(array: Array, values: Array) -> Array:
    return call_function("index_in", [array], _compute.SetLookupOptions(values))


def is_in(array: Array, values: Array) -> Array:
    return call_function("is_in", [array], _compute.SetLookupOptions(values))


def match_substring(texts: Array, text: str) -> Array:
    return call_function("match_substring", [texts], _compute.MatchSubstringOptions(text))


def match_substring_regex(texts: Array, pattern: str) -> Array:
    return call_function("match_substring_regex", [texts], _compute.MatchSubstringOptions(pattern))


def replace_substring(texts: Array, text: str, by: str) -> Array:
    return call_function("replace_substring", [texts], _compute.ReplaceSubstringOptions(text, by))


def replace_substring_regex(texts: Array, pattern: str, by: str) -> Array:
    return call_function("replace_substring_regex", [texts], _compute.ReplaceSubstringOptions(pattern, by))


def replace_with_mask(array: Array, mask: Array, replacements: Array) -> Array:
    return call_function("replace_with_mask", [array, mask, replacements])


def starts_with(texts: Array, text: str) -> Array:
    return call_function("starts_with", [texts], _compute.MatchSubstringOptions(text))


def struct_field(array: Array, name: str) -> Array:
    return call_function("struct_field", [array], _compute.StructFieldOptions(name))


def take(array: Array, at: Array) -> Array:
    return call_function("take", [array, at])


def utf8_length(texts: Array) -> Array:
    return call_function("utf8_length", [texts])


def utf8_lower(texts: Array) -> Array:
    return call_function("utf8_lower", [texts])


def utf8_rpad(texts: Array, width: int, padding: str) -> Array:
    return call_function("utf8_rpad", [texts], _compute.PadOptions(width, padding))


def utf8_slice(texts: Array, start: int) -> Array:
    return call_function("utf8_slice_codeunits", [texts], _compute.SliceOptions(start))


def utf8_trim_whitespace(texts: Array) -> Array:
    return call_function("utf8_trim_whitespace", [texts])
