"""Small charts as inline SVG, each with a title that says in words what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from haulier_clinical.reviewing.drawing.html import Html, measured, number, tag
from haulier_clinical.reviewing.trends import name_of

#: Sites of a chart that are named: those whose median steps or lies apart most.
_NAMED = 2
#: Beyond so many lines each is thinner.
_MANY = 15
_WIDTH, _HEIGHT = 236, 104
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 40, 6, 16


def span(median: float, p90: float, most: float, limit: int) -> Html:
    """A dot at the median, a line to the 90th percentile, and a rule where lateness begins."""
    width = 160

    def place(days: float) -> float:
        return 2 + (width - 4) * min(max(days, 0), most) / most

    title = f"median {number(median)} d, 90th percentile {number(p90)} d; in time is up to {limit} d"
    return _svg(
        width,
        12,
        title,
        tag("line", x1=2, x2=158, y1=6, y2=6, class_="axis"),
        tag("line", x1=_n(place(limit)), x2=_n(place(limit)), y1=0, y2=12, class_="limit"),
        tag("line", x1=_n(place(median)), x2=_n(place(p90)), y1=6, y2=6, class_="reach"),
        tag("circle", cx=_n(place(median)), cy=6, r=3, class_="dot"),
    )


def digits(counts: Sequence[int]) -> Html:
    """Ten bars, 0 to 9, and the tenth that each would have."""
    total = sum(counts) or 1
    top = max(0.3, max(counts) / total)
    bars = [
        tag(
            "rect",
            x=place * 10,
            y=_n(20 - 20 * count / total / top),
            width=8,
            height=_n(20 * count / total / top),
            class_="bar" if place % 5 else "bar five",
        )
        for place, count in enumerate(counts)
    ]
    shares = ", ".join(f"{place}: {100 * count / total:.0f} %" for place, count in enumerate(counts))
    rule = tag("line", x1=0, x2=98, y1=_n(20 - 2 / top), y2=_n(20 - 2 / top), class_="limit")
    return _svg(98, 20, f"last digits, {shares}", *bars, rule)


def medians(test: Mapping[str, Any], dates: Sequence[Any], steps: Sequence[Mapping[str, Any]]) -> Html:
    """A line a site through its medians, over the quartiles of all; the sites that step have a name."""
    sites = [site for site in test["sites"] if site["points"]]
    low_quartile, middle, high_quartile = test["quartiles"]
    values = [point["quartiles"][1] for site in sites for point in site["points"]]
    values += [low_quartile, high_quartile]
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room
    across = max(len(dates) - 1, 1)

    def x(period: int) -> str:
        return _n(_LEFT + (_WIDTH - _LEFT - _RIGHT) * period / across)

    def y(value: float) -> str:
        return _n(_TOP + (_HEIGHT - _TOP - _BOTTOM) * (high - value) / (high - low))

    named = list(dict.fromkeys(step["site"] for step in steps))[:_NAMED]
    plain = "".join(_line(site, x, y) for site in sites if site["site"] not in named)
    right = _WIDTH - _RIGHT
    parts = [
        tag(
            "rect",
            x=_LEFT,
            y=y(high_quartile),
            width=right - _LEFT,
            height=_n(float(y(low_quartile)) - float(y(high_quartile))),
            class_="band",
        ),
        tag("line", x1=_LEFT, x2=right, y1=y(middle), y2=y(middle), class_="middle"),
        tag("path", d=plain, class_="site many" if len(sites) > _MANY else "site") if plain else "",
    ]
    taken: list[float] = []
    for place, site in enumerate(site for name in named for site in sites if site["site"] == name):
        last = site["points"][-1]
        at = float(y(last["quartiles"][1]))
        while any(abs(at - other) < 10 for other in taken):
            at += 10
        taken.append(at)
        parts += [
            tag("path", d=_line(site, x, y), class_=f"named n{place}"),
            tag("text", _cut(site["site"]), x=right + 3, y=_n(at + 3), class_=f"name n{place}"),
        ]
    parts += [
        tag("text", measured(high - room), x=_LEFT - 4, y=13, class_="end tick"),
        tag("text", measured(low + room), x=_LEFT - 4, y=_HEIGHT - _BOTTOM, class_="end tick"),
        tag("text", dates[0], x=_LEFT, y=_HEIGHT - 3, class_="tick"),
        tag("text", dates[-1], x=right, y=_HEIGHT - 3, class_="end tick"),
    ]
    return _svg(_WIDTH, _HEIGHT, _words(test, sites, steps), *parts, class_="trend")


def _line(site: Mapping[str, Any], x: Any, y: Any) -> str:
    """One site's medians; a lone one is a short dash, as a dot would not show."""
    points = site["points"]
    if len(points) == 1:
        return f"M{x(points[0]['period'])} {y(points[0]['quartiles'][1])}h3"
    return "M" + "L".join(f"{x(point['period'])} {y(point['quartiles'][1])}" for point in points)


def _words(test: Mapping[str, Any], sites: Sequence[Any], steps: Sequence[Mapping[str, Any]]) -> str:
    low, middle, high = test["quartiles"]
    unit = f" {', '.join(test['units'])}" if test["units"] else ""
    said = "; ".join(
        f"site {step['site']} steps from {measured(step['before'])} to {measured(step['after'])} at {step['at']}"
        for step in steps[:4]
    )
    return (
        f"{name_of(test['testcd'], test['spec'])}: medians of {len(sites)} sites over time; of all, median "
        f"{measured(middle)}{unit}, quartiles {measured(low)} and {measured(high)}; {said or 'no site steps'}"
    )


def _svg(width: int, height: int, title: str, *parts: object, class_: str | None = None) -> Html:
    return tag(
        "svg",
        tag("title", title),
        *parts,
        role="img",
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        class_=class_,
    )


def _cut(name: str) -> str:
    return name if len(name) <= 7 else f"{name[:6]}…"


def _n(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")
