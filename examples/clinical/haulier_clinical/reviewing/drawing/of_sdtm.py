"""The sections that SDTM answers: lateness, completeness, trends, reconciliation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from haulier_clinical.reviewing.drawing import charts
from haulier_clinical.reviewing.drawing.html import (
    Html,
    join,
    left_out,
    measured,
    number,
    quiet,
    share,
    table,
    tag,
)
from haulier_clinical.reviewing.trends import name_of

_NOTHING = "There are no results yet."
#: State of a visit -> (class, mark).
_MARKS = {
    "received": ("a", ""),
    "missed": ("m", "M"),
    "overdue": ("q", "O"),
    "to come": ("w", "·"),
    None: ("", ""),
}


def lateness(found: Mapping[str, Any]) -> Html:
    within = found["within_days"]
    parts = []
    for one in found["domains"]:
        if one["unknown"]:
            parts.append(quiet(f"{one['domain']}: no table behind it knows its loads."))
            continue
        if not one["all"]:
            parts.append(quiet(f"{one['domain']}: no row yet."))
            continue
        most = max(max((site["p90"] or 0) for site in one["sites"]), within * 1.5, 1)
        columns = [
            *(("site", ""), ("records", "n"), ("no full date", "n"), ("median, d", "n"), ("90 %, d", "n")),
            *(("longest, d", "n"), (f"within {within} d", "n"), ("median to 90th percentile", "")),
        ]
        rows = [_late(site, most, within) for site in one["sites"]]
        parts += [
            table(
                tag("b", one["domain"]),
                columns,
                rows,
                _late({**one["all"], "site": "all"}, most, within),
                "narrow",
            ),
            left_out(one["left_out"], "sites"),
        ]
    return tag("div", *parts, class_="beside") if parts else quiet(_NOTHING)


def _late(site: Mapping[str, Any], most: float, within: int) -> tuple[object, ...]:
    if site["median"] is None:
        return (site["site"], site["records"], site["undated"], "", "", "", "", "")
    weak = (site["within_percent"] or 0) < 50
    return (
        *(site["site"], site["records"], site["undated"] or "", site["median"], site["p90"], site["longest"]),
        tag("td", share(site["within_percent"]), class_="n strong" if weak else "n"),
        charts.span(site["median"], site["p90"], most, within),
    )


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
                    f"Not waited for in {one['domain']}, as nobody has a record of it: ",
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
            f"The longest overdue first chosen{more}",
            [("site", ""), ("visit", ""), ("subject (planned)", "")],
            rows,
        ),
    )


def trends(found: Mapping[str, Any], habits: Mapping[str, Any]) -> Html:
    parts: list[object] = []
    for one in found["domains"]:
        if not one["tests"]:
            parts.append(quiet(f"{one['domain']}: no dated number yet."))
            continue
        parts += [tag("h3", one["domain"]), _steps(one), _charts(one, found["least"])]
        if one["left_out"]:
            parts.append(left_out(one["left_out"], "tests with the fewest results,"))
        if one["beyond"]:
            parts.append(_beyond(one))
    return join([*parts, _habits(habits)]) if parts else quiet(_NOTHING)


def _steps(one: Mapping[str, Any]) -> Html:
    if not one["steps"]:
        return quiet("No site's median steps.")
    more = f"; {number(one['steps_left_out'])} smaller ones are left out" if one["steps_left_out"] else ""
    found = table(
        f"Steps of a site's median, the largest first{more}",
        [
            *(
                ("test", ""),
                ("site", ""),
                ("period from", ""),
                ("median before", "n"),
                ("after", "n"),
                ("factor", "n"),
            ),
            *(("spreads", "n"), ("unit sent before", ""), ("after", "")),
        ],
        [
            (
                *(
                    step["test"],
                    step["site"],
                    step["at"],
                    measured(step["before"]),
                    measured(step["after"]),
                ),
                *(number(step["factor"], 2), number(step["spreads"])),
                *(", ".join(step["sent_before"]), ", ".join(step["sent_after"])),
            )
            for step in one["steps"]
        ],
        class_="narrow",
    )
    return join(
        [
            found,
            quiet(
                "A step: three periods against the three before, by half and three usual spreads of the test, or threefold."
            ),
        ]
    )


def _charts(one: Mapping[str, Any], least: int) -> Html:
    steps = defaultdict(list)
    for step in one["steps"]:
        steps[step["test"]].append(step)
    figures = []
    for test in one["tests"]:
        name = name_of(test["testcd"], test["spec"])
        unit = f" {', '.join(test['units'])}" if test["units"] else ""
        low, middle, high = test["quartiles"]
        figures.append(
            tag(
                "figure",
                tag(
                    "figcaption",
                    tag("b", name),
                    tag("span", unit, class_="dim"),
                    tag("span", f"{measured(middle)} ({measured(low)} to {measured(high)})", class_="at"),
                    tag("span", test["test"] or "", class_="of"),
                ),
                charts.medians(test, one["periods"], steps[name]),
            )
        )
    days = one["period_days"]
    return join(
        [
            quiet(
                f"A line a site, through its medians of {'a day' if days == 1 else f'{days} days'}, each of {least} "
                "results or more; band and rule are the quartiles and the median of all sites, which the caption gives. "
                "Sites that step are named."
            ),
            tag("div", *figures, class_="multiples"),
        ]
    )


def _beyond(one: Mapping[str, Any]) -> Html:
    found = one["beyond"]
    columns = [("test", ""), ("all", "n"), *((site, "s") for site in found["sites"])]
    rows = [
        (test["test"], share(test["percent"]), *(_heat(cell, test["percent"]) for cell in test["cells"]))
        for test in found["tests"]
    ]
    note = {"VS": "beyond the soft limits of references/limits.csv"}.get(
        one["domain"], "beyond the range that was sent along"
    )
    return join(
        [
            table(
                f"{one['domain']}: percent of results {note}",
                columns,
                rows,
                class_="heat",
            ),
            quiet("Marked: twice the share of all, at least 5 %, of ten results or more."),
            left_out(found["left_out"], "sites"),
            quiet(f"{number(found['tests_left_out'])} tests with the fewest results are left out.")
            if found["tests_left_out"]
            else "",
        ]
    )


def _heat(cell: Mapping[str, Any] | None, every: float | None) -> Html:
    if cell is None or cell["percent"] is None:
        return Html("<td></td>")
    depth = min(4, int(cell["percent"] // 10))
    is_odd = cell["ranged"] >= 10 and cell["percent"] >= 5 and cell["percent"] > 2 * (every or 0)
    shown = f"{cell['percent']:.0f}"
    return tag("td", tag("b", f"▲{shown}") if is_odd else shown, class_=f"h{depth}" if depth else None)


def _habits(found: Mapping[str, Any]) -> Html:
    if not found["sites"]:
        return Html("")
    columns = [
        *(
            ("site", ""),
            ("whole numbers", "n"),
            ("last digits 0 to 9", ""),
            ("0", "n"),
            ("0 or 5", "n"),
            ("χ²", "n"),
        ),
        *(("", ""), ("pairs", "n"), ("same again", "n"), ("most in a row", "n")),
    ]
    rows = [_habit(site) for site in found["sites"]]
    return join(
        [
            tag("h3", "VS: digits and repeats"),
            quiet(
                f"Last digits of {', '.join(found['tests'])} as they were sent; each would be a tenth. Marked beyond "
                f"χ² {found['limit']} (nine degrees of freedom, one in a thousand by chance) of {found['least']} numbers or "
                "more. Same again: the subject's measurement before it in the same test, position and time point has exactly "
                f"that value ({', '.join(found['constant'])} left out)."
            ),
            table("Vital signs by site", columns, rows, _habit({**found["all"], "site": "all"}), "narrow"),
            left_out(found["left_out"], "sites"),
        ]
    )


def _habit(site: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        *(site["site"], site["numbers"], charts.digits(site["digits"]) if site["numbers"] else ""),
        *(share(site["zero_percent"]), share(site["zero_or_five_percent"]), number(site["chi_square"])),
        tag("b", "▲ prefers", class_="alert elevated") if site["prefers"] and site["site"] != "all" else "",
        *(site["pairs"], share(site["alike_percent"]), site["longest"]),
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
