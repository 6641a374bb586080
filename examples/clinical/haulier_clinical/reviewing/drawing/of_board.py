"""The site board: sites by days, and what became of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haulier_clinical.reviewing.drawing.html import (
    Html,
    join,
    left_out,
    number,
    quiet,
    share,
    tag,
    wide,
)

#: State -> (class, mark): a mark stands in the cell, so that colour is never alone.
MARKS = {
    "arrived": ("a", ""),
    "late": ("l", "L"),
    "missing": ("m", "M"),
    "quarantined": ("q", "Q"),
    "refused": ("r", "R"),
    "not loaded": ("o", "N"),
    "corrected": ("k", "C"),
    "waiting": ("w", "·"),
}
_MEANING = {
    "arrived": "in time; the number is the rows read",
    "late": "the file came after the day and the contract's latency; the day is the one its name or its run says",
    "missing": "no file, and it is past the latency",
    "quarantined": "the file came, and no row of it entered",
    "refused": "refused for direct identifiers; nothing was kept",
    "not loaded": "taken up, and not through yet",
    "corrected": "quarantined first, then sent again and loaded",
    "waiting": "not due yet",
}


def board(found: Mapping[str, Any]) -> Html:
    """Sites by days, a table for each target."""
    if not found["tables"]:
        return quiet("There is no pipeline and no run.")
    legend = tag(
        "ul",
        *(
            tag(
                "li",
                tag("span", mark or "96", class_=f"key {kind}"),
                f" {state}: ",
                tag("span", _MEANING[state]),
            )
            for state, (kind, mark) in MARKS.items()
        ),
        tag(
            "li",
            tag("span", "96", tag("i", "3%"), class_="key a"),
            " below: ",
            tag("span", "the share of rows with a reject"),
        ),
        class_="legend",
    )
    return join([legend, *(_board(one, found["days"]) for one in found["tables"])])


def _board(one: Mapping[str, Any], days: Sequence[Any]) -> Html:
    several = len({site["pipeline"] for site in one["sites"]}) > 1 and len(
        {site["site"] for site in one["sites"]}
    ) < len(one["sites"])
    months = [(day.strftime("%Y-%m"), day) for day in days]
    spans: list[list[Any]] = []
    for month, _ in months:
        if spans and spans[-1][0] == month:
            spans[-1][1] += 1
        else:
            spans.append([month, 1])
    sums = ("late", "missing", "stopped", "rows", "rejects")
    head = tag(
        "thead",
        tag(
            "tr",
            tag("th", "site", scope="col", rowspan=2),
            *(tag("th", name, scope="col", rowspan=2, class_="n") for name in sums),
            *(tag("th", month, scope="colgroup", colspan=count, class_="month") for month, count in spans),
        ),
        tag(
            "tr",
            *(
                tag("th", f"{day.day}", scope="col", class_="d we" if day.weekday() > 4 else "d")
                for day in days
            ),
        ),
    )
    body = tag(
        "tbody",
        *(
            tag(
                "tr",
                tag("th", site["site"], tag("small", f" {site['pipeline']}") if several else "", scope="row"),
                *_sums(site),
                *(_cell(cell) for cell in site["cells"]),
            )
            for site in one["sites"]
        ),
    )
    foot = tag(
        "tfoot",
        tag("tr", tag("th", "all", scope="row"), *_sums(one), tag("td", colspan=len(days))),
    )
    caption = tag(
        "caption",
        tag("b", one["table"]),
        " ",
        ", ".join(f"{number(one['counts'][state])} {state}" for state in MARKS if one["counts"][state])
        or "nothing came, and nothing is due",
    )
    return join(
        [
            wide(tag("table", caption, head, body, foot, class_="board")),
            left_out(one["left_out"], "sites"),
        ]
    )


def _sums(one: Mapping[str, Any]) -> list[Html]:
    counts = one["counts"]
    stopped = counts["quarantined"] + counts["refused"] + counts["not loaded"]
    return [
        tag("td", number(counts["late"]) if counts["late"] else "", class_="n"),
        tag(
            "td",
            number(counts["missing"]) if counts["missing"] else "",
            class_="n strong" if counts["missing"] else "n",
        ),
        tag("td", number(stopped) if stopped else "", class_="n strong" if stopped else "n"),
        tag("td", number(one["rows"]), class_="n"),
        tag("td", share(one["reject_percent"]) if one["rejected"] else "", class_="n"),
    ]


def _cell(cell: Mapping[str, Any]) -> Html:
    state = cell["state"]
    if state is None:
        return Html("<td></td>")
    kind, mark = MARKS[state]
    rows, rejected = cell.get("rows"), cell.get("rejected")
    parts: list[object] = [tag("b", mark)] if mark else []
    said = [f"{cell['day']}: {state}"]
    if rows is not None:
        parts.append(_brief(rows))
        said.append(f"{rows} rows")
    if rejected:
        parts.append(tag("i", f"{100 * rejected / rows:.0f}%" if 200 * rejected >= rows else "<1%"))
        said.append(f"{rejected} with a reject")
    if cell.get("days_late"):
        said.append(f"{cell['days_late']} d late")
    told = ", ".join(said) if mark or rejected else None
    return tag("td", *parts, class_=kind, title=told)


def _brief(rows: int) -> str:
    if rows < 10_000:
        return str(rows)
    return f"{rows / 1000:.0f}k" if rows < 1_000_000 else f"{rows / 1_000_000:.1f}M"
