"""The page: what wants somebody first, then a section for each question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from string import Template
from typing import Any

from haulier_clinical.reviewing.drawing import of_board, of_ledger, of_results, of_subjects
from haulier_clinical.reviewing.drawing.html import Html, join, number, quiet, table, tag

Figures = Mapping[str, Any]

_PAGE = Template(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
_STYLE = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
#: Section -> its title, where its figures come from, and who draws it.
_SECTIONS: Mapping[str, tuple[str, str, Callable[[Figures], Html]]] = {
    "board": (
        "Site board",
        "haulier.delivery, run, load, reject, refusal",
        lambda found: of_board.board(found["board"]),
    ),
    "lateness": (
        "Lateness",
        "days from --DTC to the load that gave the row its values (haulier.load)",
        lambda found: of_results.lateness(found["lateness"]),
    ),
    "completeness": (
        "Completeness",
        "references/visits.csv, RFSTDTC of DM, VISITNUM of the results",
        lambda found: of_subjects.completeness(found["completeness"]),
    ),
    "queries": ("Queries", "haulier.query", lambda found: of_ledger.queries(found["queries"])),
    "trends": (
        "Trends",
        "--STRESN by site and period; --NRIND; --ORRES",
        lambda found: of_results.trends(found["trends"], found["habits"]),
    ),
    "reconciliation": (
        "Reconciliation",
        "DM against the results",
        lambda found: of_subjects.reconciliation(found["reconciliation"]),
    ),
    "changes": (
        "Schema changes",
        "haulier.schema_change, sealed manifests, haulier.load",
        lambda found: of_ledger.changes(found["changes"]),
    ),
}


def page(found: Figures) -> str:
    """The same figures give the same bytes."""
    title = f"Review of {found['study'] or 'a trial without rows'}"
    return _PAGE.substitute(
        title=tag("title", f"{title}, {found['as_of']:%Y-%m-%d %H:%M} UTC"),
        style=Html(_STYLE),
        head=_head(found, title),
        sections=join((_section(name, found) for name in _SECTIONS), "\n"),
    )


def _head(found: Figures, title: str) -> Html:
    extents = [
        (
            *(one["domain"], one["relation"], one["records"], one["subjects"], one["sites"]),
            one["loaded_at"] or "",
            one["load_id"] if one["load_id"] is not None else "",
            tag("code", one["chain"][:12]) if one["chain"] else "",
        )
        for one in found["domains"]
    ]
    wants = [
        (tag("a", _SECTIONS[one["section"]][0], href=f"#{one['section']}"), number(one["count"]), one["what"])
        for one in found["attention"]
    ]
    return join(
        [
            tag(
                "header",
                tag("h1", title),
                tag("p", "as of ", tag("time", f"{found['as_of']:%Y-%m-%d %H:%M} UTC"), class_="quiet"),
                tag(
                    "nav",
                    *(
                        tag("a", f"{place} {heading}", href=f"#{name}")
                        for place, (name, (heading, _, _)) in enumerate(_SECTIONS.items(), 1)
                    ),
                    aria_label="Sections",
                ),
            ),
            tag(
                "div",
                table(
                    "What wants somebody",
                    [("section", ""), ("how many", "n"), ("what", "")],
                    wants,
                    class_="narrow wants",
                )
                if wants
                else quiet("Nothing wants anybody."),
                table(
                    "What was read",
                    [
                        *(("domain", ""), ("from", ""), ("records", "n"), ("subjects", "n"), ("sites", "n")),
                        *(("last load (UTC)", ""), ("load", "n"), ("link", "")),
                    ],
                    extents,
                    class_="narrow",
                )
                if extents
                else quiet("There are no SDTM rows yet: the sections on results are empty."),
                class_="beside",
            ),
            quiet(
                "Columns that a contract calls blinded are not read",
                f" ({', '.join(found['blinded'])})." if found["blinded"] else ".",
                " The site board, the queries and the schema changes are of all studies in the database.",
            ),
        ]
    )


def _section(name: str, found: Figures) -> Html:
    heading, source, draw = _SECTIONS[name]
    place = list(_SECTIONS).index(name) + 1
    return tag(
        "section",
        tag("h2", tag("span", place, class_="no"), heading, " ", tag("small", source)),
        draw(found),
        id=name,
    )
