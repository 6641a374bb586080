"""Trends: what each site's results of a test are from period to period, so that a switch of units shows as a step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any

from haulier_clinical.reviewing.reading import Row, Trial
from haulier_clinical.reviewing.shares import percent

#: Tests of a domain with a chart of their own: those with the most results.
MOST_TESTS = 48
#: Of sites in the table of shares, those with the most results beyond their range.
MOST_SITES = 60
MOST_STEPS = 40
#: A median of fewer results says nothing of a site.
_LEAST = 5
#: A step changes the median by such a factor, and by so many times the usual spread of the test: either pair. Of units that
#: are taken for one another the nearest, mEq/L and mmol/L of calcium, differ by 2.
_STEPS = ((1.9, 3.0), (3.0, 1.0))
#: Periods on each side of a step that say what was before and after it: one that has both kinds in it then hides nothing.
_SIDE = 3
#: Days of a period: the first that gives no more than `_MOST_PERIODS`, and a site so many results of a test in each.
_WIDTHS, _MOST_PERIODS, _ENOUGH = (1, 2, 3, 7, 14, 28, 91, 364), 20, 5

Key = tuple[str, str | None]


def figures(trial: Trial) -> dict[str, Any]:
    """Per domain: tests with their quartiles, each site's medians by period, steps, and shares out of range."""
    return {"least": _LEAST, "domains": [_domain(trial, domain) for domain in trial.domains]}


def _domain(trial: Trial, domain: str) -> dict[str, Any]:
    (window,) = trial.sdtm("window", domain)
    if window["first"] is None:
        return {"domain": domain, "tests": [], "steps": [], "left_out": [], "beyond": None}
    width, periods = _cut(window)
    series: dict[Key, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in trial.sdtm("medians", domain, first=window["first"], width=width):
        series[row["testcd"], row["spec"]][row["site"]].append(row)
    every = trial.sdtm("tests", domain)
    most = sorted(every, key=lambda row: (-row["records"], row["testcd"], row["spec"] or ""))
    kept = {(row["testcd"], row["spec"]) for row in most[:MOST_TESTS]}
    dates = [window["first"] + timedelta(days=width * number) for number in range(periods)]
    tests = [_test(row, series[row["testcd"], row["spec"]], dates) for row in every]
    steps = sorted(
        (step for test in tests for step in test.pop("steps")),
        key=lambda step: (-step["spreads"], step["test"], step["site"], step["at"]),
    )
    return {
        "domain": domain,
        "first": window["first"],
        "last": window["last"],
        "period_days": width,
        "periods": dates,
        "tests": [test for test in tests if (test["testcd"], test["spec"]) in kept],
        "left_out": sorted(
            name_of(row["testcd"], row["spec"]) for row in every if (row["testcd"], row["spec"]) not in kept
        ),
        "steps": steps[:MOST_STEPS],
        "steps_left_out": max(0, len(steps) - MOST_STEPS),
        "beyond": _beyond(trial, domain, [row for row in every if row["ranged"]]),
    }


def name_of(testcd: str, spec: str | None) -> str:
    return f"{testcd} ({spec})" if spec else testcd


def _cut(window: Row) -> tuple[int, int]:
    """(days of a period, how many there are)."""
    span = (window["last"] - window["first"]).days + 1
    a_day = window["records"] / window["series"] / span
    width = next(
        (width for width in _WIDTHS if span <= width * _MOST_PERIODS and width * a_day >= _ENOUGH),
        _WIDTHS[-1],
    )
    # Two periods at least, where there is more than one day: a step needs them.
    width = min(width, max(1, span // 2)) if span > 1 else 1
    return width, -(-span // width)


def _test(row: Row, sites: Mapping[str, Sequence[Row]], dates: Sequence[date]) -> dict[str, Any]:
    spread = _spread(points for points in sites.values())
    lines = []
    steps: list[dict[str, Any]] = []
    for site, points in sites.items():
        told = [point for point in points if point["records"] >= _LEAST]
        lines.append(
            {
                "site": site,
                "records": sum(point["records"] for point in points),
                "points": [
                    {
                        "period": point["period"],
                        "records": point["records"],
                        "quartiles": [_short(number) for number in point["quartiles"]],
                    }
                    for point in told
                ],
            }
        )
        steps += _steps(row, site, told, spread, dates)
    return {
        "testcd": row["testcd"],
        "spec": row["spec"],
        "test": row["test"],
        "units": _said(row["units"]),
        "records": row["records"],
        "quartiles": [_short(number) for number in row["quartiles"]],
        "beyond_percent": percent(row["beyond"], row["ranged"]),
        "sites": lines,
        "steps": steps,
    }


def _spread(sites: Iterable[Sequence[Row]]) -> float:
    """What a site's results usually spread over within a period: from the first quartile to the third."""
    ranges = [
        point["quartiles"][2] - point["quartiles"][0]
        for points in sites
        for point in points
        if point["records"] >= _LEAST
    ]
    return median(ranges) if ranges else 0.0


def _steps(
    row: Row, site: str, points: Sequence[Row], spread: float, dates: Sequence[date]
) -> list[dict[str, Any]]:
    middles = [point["quartiles"][1] for point in points]
    # Beside a step the three periods before and after differ, too: of neighbours the largest jump is meant.
    runs: list[list[int]] = []
    for place in range(1, len(points)):
        if _is_step(*_sides(middles, place), spread):
            if runs and runs[-1][-1] == place - 1:
                runs[-1].append(place)
            else:
                runs.append([place])
    found = []
    for run in runs:
        place = max(run, key=lambda one: abs(middles[one] - middles[one - 1]))
        old, new = _sides(middles, place)
        found.append(
            {
                "test": name_of(row["testcd"], row["spec"]),
                "site": site,
                "at": dates[points[place]["period"]],
                "before": _short(old),
                "after": _short(new),
                "factor": round(new / old, 3) if old else None,
                "spreads": round(abs(new - old) / spread, 1) if spread else 999.9,
                "sent_before": _said(points[place - 1]["sent"]),
                "sent_after": _said(points[place]["sent"]),
            }
        )
    return found


def _sides(middles: Sequence[float], place: int) -> tuple[float, float]:
    return median(middles[max(0, place - _SIDE) : place]), median(middles[place : place + _SIDE])


def _is_step(old: float, new: float, spread: float) -> bool:
    low, high = sorted((abs(old), abs(new)))
    return any(high >= factor * low and abs(new - old) > spreads * spread for factor, spreads in _STEPS)


def _said(units: Sequence[str | None]) -> list[str]:
    return sorted(unit for unit in units if unit)


def _short(number: float) -> float:
    """As many digits as a chart and a reader can use."""
    return float(f"{number:.5g}")


def _beyond(trial: Trial, domain: str, tests: Sequence[Row]) -> dict[str, Any] | None:
    """Tests by sites: the share of results that the range sent along does not hold."""
    if not tests:
        return None
    cells: dict[Key, dict[str, Row]] = defaultdict(dict)
    weight: dict[str, int] = defaultdict(int)
    for row in trial.sdtm("beyond", domain):
        cells[row["testcd"], row["spec"]][row["site"]] = row
        weight[row["site"]] += row["beyond"]
    worst = sorted(weight, key=lambda site: (-weight[site], site))
    kept = sorted(worst[:MOST_SITES])
    most = sorted(tests, key=lambda row: (-row["ranged"], row["testcd"], row["spec"] or ""))[:MOST_TESTS]
    return {
        "sites": kept,
        "left_out": sorted(worst[MOST_SITES:]),
        "tests_left_out": len(tests) - len(most),
        "tests": [
            {
                "test": name_of(row["testcd"], row["spec"]),
                "ranged": row["ranged"],
                "percent": percent(row["beyond"], row["ranged"]),
                "cells": [_share(cells[row["testcd"], row["spec"]].get(site)) for site in kept],
            }
            for row in sorted(most, key=lambda row: (row["testcd"], row["spec"] or ""))
        ],
    }


def _share(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {"ranged": row["ranged"], "percent": percent(row["beyond"], row["ranged"], 0)}
