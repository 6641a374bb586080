"""The sections that name subjects: completeness and reconciliation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from haulier_clinical.reviewing.drawing.html import (
    Html,
    join,
    number,
    quiet,
    table,
    tag,
)

#: State of a visit -> (class, mark).
_MARKS = {
    "received": ("a", ""),
    "missed": ("m", "M"),
    "overdue": ("q", "O"),
    "to come": ("w", "·"),
    None: ("", ""),
}


def completeness(found: Mapping[str, Any]) -> Html:
    if found.get("no_visits"):
        return quiet(f"No plan: {found['no_visits']} is not among the definitions; --visits names another.")
    if not found["domains"]:
        return quiet("DM and a domain of results are needed, and one of them is not there or has no row.")
    legend = tag(
        "ul",
        *(
            tag("li", tag("span", mark, class_=f"key {kind}"), " ", meaning)
            for kind, mark, meaning in (
                ("a", "24", "received; the records of the visit"),
                ("m", "M", "missed: nothing but NOT DONE, or a later visit came first"),
                ("q", "O", f"overdue: {found['window_days']} days past the planned one, and nothing came"),
                ("w", "·", "to come"),
            )
        ),
        tag("li", "empty: not expected, as the subject had left or has no reference start"),
        class_="legend",
    )
    domains = []
    for one in found["domains"]:
        parts: list[object] = []
        totals = one["totals"]
        caption = join(
            [tag("b", one["domain"]), " ", ", ".join(f"{number(totals[state])} {state}" for state in totals)]
        )
        parts.append(_by_subject(one, caption) if one["subjects"] else _by_site(one, caption))
        if one["not_counted"]:
            parts.append(
                quiet(
                    f"Not waited for in {one['domain']}, as few or none of those who came have a record of it: ",
                    ", ".join(one["not_counted"]),
                    ".",
                )
            )
        if one["overdue"] and not one["subjects"]:
            parts.append(_overdue(one))
        domains.append(tag("div", *parts))
    parts = [legend, tag("div", *domains, class_="beside")]
    if found["without_start"]:
        count = len(found["without_start"])
        parts.append(
            quiet(
                f"Without a reference start, so that nothing is waited for: {count}: ",
                ", ".join(found["without_start"][:20]),
                " …" if count > 20 else ".",
            )
        )
    return join(parts)


def _by_subject(one: Mapping[str, Any], caption: Html) -> Html:
    columns = [("subject", ""), ("site", ""), *((visit, "v") for visit in one["visits"])]
    rows = [
        (line["subject"], line["site"], *(_visit(cell) for cell in line["cells"])) for line in one["subjects"]
    ]
    return table(caption, columns, rows, class_="visits")


def _visit(cell: Mapping[str, Any]) -> Html:
    kind, mark = _MARKS[cell["state"]]
    title = f"{cell['state']}; planned {cell['planned']}" if cell["state"] and cell["planned"] else None
    return tag("td", mark or cell["records"] or "", class_=kind or None, title=title)


def _by_site(one: Mapping[str, Any], caption: Html) -> Html:
    columns = [
        *(("site", ""), ("subjects", "n"), ("received", "n"), ("missed", "n"), ("overdue", "n")),
        *((visit, "v") for visit in one["visits"]),
    ]
    rows = [
        (
            *(site["site"], site["subjects"], site["totals"]["received"]),
            *(site["totals"]["missed"] or "", site["totals"]["overdue"] or ""),
            *(_counts(cell) for cell in site["cells"]),
        )
        for site in one["sites"]
    ]
    return table(caption, columns, rows, class_="visits")


def _counts(cell: Mapping[str, int]) -> Html:
    """Received of those expected by now, and what is wrong with the others."""
    due = cell["received"] + cell["missed"] + cell["overdue"]
    if not due:
        return tag(
            "td", f"· {cell['to come']}" if cell["to come"] else "", class_="w" if cell["to come"] else None
        )
    notes = [
        tag("b", f"{mark}{cell[state]}", class_=kind)
        for state, (kind, mark) in _MARKS.items()
        if state in ("missed", "overdue") and cell[state]
    ]
    return tag(
        "td",
        f"{cell['received']}/{due}",
        " " if notes else "",
        join(notes, " "),
        class_="a" if not notes else "p",
    )


def _overdue(one: Mapping[str, Any]) -> Html:
    """Whom to ask for."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for line in one["overdue"]:
        groups[line["site"], line["visit"]].append(line)
    rows = [
        (site, visit, join((f"{line['subject']} ({line['planned']})" for line in lines), ", "))
        for (site, visit), lines in sorted(groups.items())
    ]
    more = f"; {number(one['overdue_left_out'])} later ones are left out" if one["overdue_left_out"] else ""
    return tag(
        "details",
        tag("summary", f"{one['domain']}: the overdue visits by subject"),
        table(
            f"By site and visit{more}",
            [("site", ""), ("visit", ""), ("subject (planned)", "")],
            rows,
        ),
    )


def reconciliation(found: Mapping[str, Any]) -> Html:
    kinds = found["kinds"]
    rows = [
        (kind["meaning"], kind["subjects"] or "none", kind["lines"] or "", _sites(kind["sites"]))
        for kind in kinds
    ]
    parts: list[object] = [
        table(
            "What does not agree",
            [("what", ""), ("subjects", "n"), ("lines", "n"), ("sites (lines)", "")],
            rows,
        )
    ]
    return join([*parts, *(_kind(kind) for kind in kinds if kind["rows"])])


def _sites(sites: Mapping[str, int]) -> str:
    shown = [f"{site} ({count})" for site, count in list(sites.items())[:12]]
    return ", ".join(shown) + (f" and {len(sites) - 12} more sites" if len(sites) > 12 else "")


def _kind(kind: Mapping[str, Any]) -> Html:
    names: Sequence[tuple[str, str]] = [
        (name, heading)
        for name, heading in (
            *(
                ("usubjid", "subject"),
                ("site", "site"),
                ("domain", "domain"),
                ("dm", "in DM"),
                ("said", "in the results"),
            ),
            *(
                ("visit", "visit"),
                ("records", "records"),
                ("first", "first"),
                ("last", "last"),
                ("start", "reference start"),
            ),
        )
        if name in kind["rows"][0]
    ]
    more = f"; {number(kind['left_out'])} more are left out" if kind["left_out"] else ""
    return tag(
        "details",
        tag("summary", f"{kind['meaning']} ({number(kind['lines'])})"),
        table(
            f"{kind['meaning']}{more}",
            [(heading, "n" if name == "records" else "") for name, heading in names],
            [[row[name] for name, _ in names] for row in kind["rows"]],
            class_="narrow",
        ),
        open=kind["lines"] <= 12,
    )
