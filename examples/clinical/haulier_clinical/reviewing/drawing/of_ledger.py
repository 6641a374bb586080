"""The sections that the ledger answers: queries and changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from haulier_clinical.reviewing.drawing.html import (
    Html,
    join,
    left_out,
    number,
    quiet,
    share,
    table,
    tag,
    text,
)


def queries(found: Mapping[str, Any]) -> Html:
    totals = found["totals"]
    if not found["sites"]:
        return quiet("No query was raised.")
    columns = [
        *(("site", ""), ("pipeline", ""), ("open", "n"), ("answered", "n"), ("overdue", "n"), ("share", "n")),
        *(("alert", ""), ("oldest, d", "n"), ("settled", "n"), ("most of them", "")),
    ]
    waiting = [one for one in found["sites"] if one["open"] or one["answered"]]
    settled = [one for one in found["sites"] if not (one["open"] or one["answered"])]
    rows = [
        (
            *(one["site"], one["pipeline"], one["open"], one["answered"], one["overdue"] or ""),
            *(share(one["overdue_percent"]), _alert(one["alert"]), one["oldest_days"]),
            one["released"] + one["corrected"] + one["closed"],
            join((join((tag("code", rule["rule"]), f" {rule['queries']}")) for rule in one["rules"]), ", "),
        )
        for one in waiting
    ]
    foot = (
        *("all", "", totals["open"], totals["answered"], totals["overdue"], share(totals["overdue_percent"])),
        *(_alert(totals["alert"]), totals["oldest_days"]),
        *(totals["released"] + totals["corrected"] + totals["closed"], ""),
    )
    rules = table(
        "What those that wait are about",
        [("rule", ""), ("kind", ""), ("waiting", "n"), ("overdue", "n"), ("sites", "n")],
        [
            (tag("code", one["rule"]), one["kind"], one["queries"], one["overdue"] or "", one["sites"])
            for one in found["rules"]
        ],
        class_="narrow",
    )
    return join(
        [
            table("Waiting, by site; the largest share overdue first", columns, rows, foot) if rows else "",
            quiet("Nothing waits at: ", ", ".join(dict.fromkeys(one["site"] for one in settled)), ".")
            if settled
            else "",
            left_out(found["left_out"], "sites"),
            rules if found["rules"] else "",
        ]
    )


def _alert(alert: str) -> object:
    return (
        tag("b", {"high": "▲▲ high", "elevated": "▲ elevated"}[alert], class_=f"alert {alert}")
        if alert
        else ""
    )


def changes(found: Mapping[str, Any]) -> Html:
    tables = [
        (
            *(one["at"], one["target"], one["kind"], _columns(one)),
            f"{one['pipeline']}/{one['instance']} {one['day']}" if one["pipeline"] else "",
            one["actor"],
        )
        for one in found["tables"]
    ]
    files = [
        (
            tag("code", one["column"]),
            {"new": "new, not in the contract", "missing": "no longer there"}[one["what"]],
            *(f"{one['pipeline']}/{one['instance']}", one["since"], one["until"], one["runs"], one["file"]),
        )
        for one in found["files"]
    ]
    definitions = [
        (
            *(
                one["since"],
                one["pipeline"],
                tag("code", one["definition_digest"]),
                one["instances"],
                one["loads"],
            ),
            one["until"],
            one["approval"] or tag("span", "none recorded", class_="dim"),
        )
        for one in found["definitions"]
    ]
    return join(
        [
            tag("h3", "Columns of files"),
            table(
                "More or less than the contract, by the notes of the runs",
                [
                    *(
                        ("column", ""),
                        ("is", ""),
                        ("instance", ""),
                        ("since", ""),
                        ("until", ""),
                        ("runs", "n"),
                    ),
                    ("first in", ""),
                ],
                files,
            )
            if files
            else quiet("No run of these days noted a column."),
            _more(found["files_left_out"]),
            quiet(
                f"{number(found['files_standing'])} columns that an instance never sent in these days are no change: not listed."
            )
            if found["files_standing"]
            else "",
            quiet(
                f"Of {number(found['manifests_gone'])} runs there is no sealed manifest to read notes from."
            )
            if found["manifests_gone"]
            else "",
            tag("h3", "Tables"),
            table(
                "What loads changed of the tables",
                [
                    *(("when (UTC)", ""), ("table", ""), ("what", ""), ("columns", ""), ("run", "")),
                    ("by", ""),
                ],
                tables,
            )
            if tables
            else quiet("No table was made or changed."),
            _more(found["tables_left_out"]),
            tag("h3", "Definitions"),
            table(
                "Since when each was hauled by, and who approved it",
                [
                    *(
                        ("first load (UTC)", ""),
                        ("pipeline", ""),
                        ("digest", ""),
                        ("instances", "n"),
                        ("loads", "n"),
                    ),
                    *(("last load (UTC)", ""), ("approval", "")),
                ],
                definitions,
            )
            if definitions
            else quiet("Nothing was loaded."),
            _more(found["definitions_left_out"]),
        ]
    )


def _more(count: int) -> Html:
    return quiet(f"Left out, the oldest: {number(count)} more.") if count else Html("")


def _columns(one: Mapping[str, Any]) -> object:
    if not one["columns"]:
        return f"{one['count']} columns"
    return join(
        (
            join(
                (
                    tag("code", column["column"]),
                    " ",
                    text(column["before"] or "new"),
                    " → ",
                    column["after"] or "gone",
                )
            )
            for column in one["columns"]
        ),
        "; ",
    )
