"""A result's text, read by rules in their order: number, limit, not done, specimen, coded text, other words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from haulier_clinical.folding import plain
from haulier_clinical.numerals import number_pattern, parse_number
from haulier_clinical.terms import Words

Kind = Literal["empty", "number", "limit", "not-done", "condition", "coded", "words"]

#: As sites write them -> as --STRESC has them.
OPERATORS = {
    "<": "<", ">": ">", "<=": "<=", ">=": ">=", "=<": "<=", "=>": ">=", "≤": "<=", "≥": ">=",
    "less than": "<", "below": "<", "under": "<", "greater than": ">", "more than": ">", "above": ">", "over": ">",
    "lt": "<", "gt": ">", "le": "<=", "ge": ">=",
}  # fmt: skip
_SIGNS = frozenset(OPERATORS.values())
_OPERATOR = re.compile(
    r"(<=|>=|=<|=>|[<>≤≥]|(?:less than|greater than|more than|below|above|under|over)\b)\s*", re.IGNORECASE
)
_REASON = re.compile(r"\s*[-:;,(]\s*|\s+due to\s+|\s+because\s+(?:of\s+)?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a result's text says."""

    kind: Kind
    #: The text without a unit that stood behind the number.
    text: str = ""
    number: Decimal | None = None
    operator: str = ""
    #: The unit behind the number, as typed.
    unit: str = ""
    #: NEGATIVE, HEMOLYZED: as CDISC says it.
    term: str = ""
    reason: str = ""
    #: The specimen's condition, behind a number or a reason.
    condition: str = ""
    #: Why words were not understood.
    problem: str = ""


def read_result(
    text: str,
    words: Words,
    *,
    mark: str = ".",
    operator: str = "",
    is_unit: Callable[[str], bool] = lambda _: False,
) -> Result:
    """Nothing of it is guessed: what no rule reads is ``words``."""
    shown = plain(text)
    if not shown:
        return Result(kind="empty")
    sign = OPERATORS.get(plain(operator).casefold(), "" if not operator.strip() else "?")
    rest = shown
    if begins := _OPERATOR.match(shown):
        inside = OPERATORS[begins[1].casefold()]
        sign, rest = (inside if sign in ("", inside) else "?"), shown[begins.end() :]
    elif sign in _SIGNS and number_pattern(mark).match(shown):
        # The result is what the two columns say together.
        shown = f"{sign}{shown}"
    if found := _numeric(shown, rest, sign, words, mark, is_unit):
        return found
    if (done := _not_done(shown, words)) is not None:
        return done
    if condition := words.find("condition", shown):
        return Result(kind="condition", text=shown, term=condition, condition=condition)
    if term := words.find("result", shown):
        return Result(kind="coded", text=shown, term=term)
    return Result(kind="words", text=shown, problem=_problem(rest, mark))


def _numeric(
    shown: str, rest: str, sign: str, words: Words, mark: str, is_unit: Callable[[str], bool]
) -> Result | None:
    matched = number_pattern(mark).match(rest)
    number = parse_number(matched[0], mark) if matched else None
    if matched is None or number is None:
        return None
    if sign == "?":
        return Result(kind="words", text=shown, problem="its operator is none of <, <=, > and >=")
    tail = rest[matched.end() :].strip()
    unit = condition = ""
    text = shown
    if tail and is_unit(tail):
        unit, text = tail, shown[: len(shown) - len(tail)].strip()
    elif tail and (condition := words.find("condition", tail.strip("()[] ")) or ""):
        pass
    elif tail and not words.find("remark", tail):
        return None
    return Result(
        kind="limit" if sign else "number",
        text=text,
        number=number,
        operator=sign,
        unit=unit,
        condition=condition,
    )


def _not_done(shown: str, words: Words) -> Result | None:
    if words.find("not-done", shown):
        return Result(kind="not-done", text=shown)
    if (parts := _REASON.split(shown, maxsplit=1)) and len(parts) == 2 and words.find("not-done", parts[0]):
        reason = parts[1].rstrip(") ")
        return Result(
            kind="not-done", text=shown, reason=reason, condition=words.find("condition", reason) or ""
        )
    return None


def _problem(rest: str, mark: str) -> str:
    other = "," if mark == "." else "."
    if re.fullmatch(rf"[+-]?[0-9.{other}\s']*[0-9]", rest) and re.search(rf"[{other}\s']", rest):
        return f"{other} may divide thousands or be a decimal mark; this site's decimal mark is {mark}"
    return "it is neither a number nor a limit such as <0.2 nor a word that the reference words knows"
