"""HTML where nothing is taken for markup but what was made here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from html import escape
from typing import Any

#: Controls, invisible marks, halves of characters, and line ends to some.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_VOID = frozenset({"br", "col", "meta", "line", "rect", "circle", "path"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value as a reader sees it, escaped; None is nothing."""
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    if isinstance(value, datetime):
        return Html(f"{value:%Y-%m-%d %H:%M}")
    if isinstance(value, date):
        return Html(value.isoformat())
    if isinstance(value, float | Decimal):
        return Html(number(value))
    return Html(escape(visible(str(value))))


def visible(said: str) -> str:
    """With what only steers written out: a mark that turns the direction of text would turn what stands beside it."""
    return "".join(
        character.encode("unicode_escape", "surrogatepass").decode("ascii")
        if unicodedata.category(character) in _STEERING
        else character
        for character in said
    )


def number(value: float | Decimal | int | None, digits: int = 1) -> str:
    """With thousands divided by a thin space; whole where it is whole."""
    if value is None:
        return ""
    shown = f"{value:,.{digits}f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return shown.replace(",", "\u202f")


def measured(value: float) -> str:
    """A result as a chart tells it: three digits or all before the mark."""
    size = abs(value)
    return number(value, 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 or not size else 3)


def share(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.1f}\u202f%"


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element; an attribute that is None or False is left out, `class_` is `class`, `data_x` is `data-x`."""
    given = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{escape(visible(str(value)))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID and not children:
        return Html(f"<{name}{given}>" if name in ("br", "col", "meta") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[object], between: str = "") -> Html:
    return Html(between.join(text(child) for child in children))


def quiet(*children: object) -> Html:
    return tag("p", *children, class_="quiet")


def table(
    caption: object,
    columns: Sequence[tuple[str, str]],
    rows: Iterable[Sequence[object]],
    foot: Sequence[object] | None = None,
    class_: str | None = None,
) -> Html:
    """``columns``: (heading, class) each; the first cell of a row is its heading. A cell that is a whole ``td`` stays one."""
    head = tag(
        "thead",
        tag("tr", *(tag("th", name, scope="col", class_=kind or None) for name, kind in columns)),
    )
    body = tag("tbody", *(_row(columns, row) for row in rows))
    last = tag("tfoot", _row(columns, foot)) if foot else ""
    return wide(tag("table", tag("caption", caption), head, body, last, class_=class_))


def wide(*children: object) -> Html:
    """What may be wider than the screen scrolls in itself, by keys, too."""
    return tag("div", *children, class_="wide", tabindex="0")


def _row(columns: Sequence[tuple[str, str]], row: Sequence[object]) -> Html:
    cells: list[Html] = []
    for place, ((_, kind), value) in enumerate(zip(columns, row, strict=True)):
        if isinstance(value, Html) and value.startswith("<td"):
            cells.append(value)
        elif place == 0:
            cells.append(tag("th", value, scope="row", class_=kind or None))
        else:
            shown = number(value) if isinstance(value, int) and not isinstance(value, bool) else value
            cells.append(tag("td", shown, class_=kind or None))
    return tag("tr", *cells)


def left_out(names: Sequence[Any], what: str) -> Html:
    """Says what a table does not show."""
    if not names:
        return Html("")
    return quiet(f"Left out, as there are too many: {what} ", tag("span", ", ".join(map(str, names))), ".")
