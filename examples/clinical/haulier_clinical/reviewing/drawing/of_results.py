"""The sections on results as such: lateness and trends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
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


def lateness(found: Mapping[str, Any]) -> Html:
    within = found["within_days"]
    parts = []
    for one in found["domains"]:
        if one["unknown"]:
            parts.append(quiet(f"{one['domain']}: not every table behind it knows its loads."))
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
                "A step: three periods against the three before, nearly double or half and by three usual spreads, or threefold."
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
