"""Habits: last digits that a site prefers, and measurements that are the same again."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from haulier_clinical.reviewing.reading import Trial
from haulier_clinical.reviewing.shares import MOST_SITES, percent

#: Read off a device as whole numbers that spread over more than a decade, so that each digit is as likely as another.
COUNTED = ("SYSBP", "DIABP", "PULSE", "HR")
#: What is the same at every visit of an adult.
CONSTANT = ("HEIGHT",)
#: Chi-square with 9 degrees of freedom: one site in a thousand is beyond it by chance.
LIMIT = 27.88
#: Fewer numbers show nothing.
LEAST = 50


def figures(trial: Trial) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tests": COUNTED,
        "constant": CONSTANT,
        "limit": LIMIT,
        "least": LEAST,
        "sites": [],
        "left_out": [],
    }
    if "VS" not in trial.domains:
        return found
    digits: dict[str, list[int]] = defaultdict(lambda: [0] * 10)
    for row in trial.sdtm("digits", "VS", tests=list(COUNTED)):
        digits[row["site"]][row["digit"]] = row["records"]
    repeats = {row["site"]: row for row in trial.sdtm("repeats", "VS", constant=list(CONSTANT))}
    sites = [_site(site, digits[site], repeats.get(site)) for site in sorted({*digits, *repeats})]
    odd = sorted(
        sites, key=lambda one: (-(one["chi_square"] or 0), -(one["alike_percent"] or 0), one["site"])
    )
    kept = {one["site"] for one in odd[:MOST_SITES]}
    pairs, alike = (sum(row[name] for row in repeats.values()) for name in ("pairs", "alike"))
    return {
        **found,
        "all": _site(None, [sum(column) for column in zip(*digits.values(), strict=True)] or [0] * 10, None)
        | {"pairs": pairs, "alike": alike, "alike_percent": percent(alike, pairs)},
        "sites": [one for one in sites if one["site"] in kept],
        "left_out": [one["site"] for one in sites if one["site"] not in kept],
    }


def _site(site: str | None, digits: list[int], repeats: dict[str, Any] | None) -> dict[str, Any]:
    numbers = sum(digits)
    expected = numbers / 10
    squares = sum((count - expected) ** 2 for count in digits) / expected if numbers >= LEAST else None
    pairs, alike = (repeats["pairs"], repeats["alike"]) if repeats else (0, 0)
    return {
        "site": site,
        "numbers": numbers,
        "digits": digits,
        "zero_percent": percent(digits[0], numbers),
        "zero_or_five_percent": percent(digits[0] + digits[5], numbers),
        "chi_square": None if squares is None else round(squares, 1),
        "prefers": squares is not None and squares > LIMIT,
        "pairs": pairs,
        "alike": alike,
        "alike_percent": percent(alike, pairs),
        "longest": repeats["longest"] if repeats else None,
    }
