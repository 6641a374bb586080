"""A trail for people: one page that needs nothing else, to be read on a screen or on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from importlib.resources import files

from haulier_command.auditing.trail import Entry
from haulier_command.auditing.writing import Written, text_of
from haulier_command.ledger import Row
from haulier_command.origins import run_name

#: A browser shows so many events; the files beside the page have all.
MOST_EVENTS = 20_000

_STYLE = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
_EVENTS = (
    "#",
    "when (UTC)",
    "what",
    "row",
    "column",
    "old value",
    "new value",
    "by",
    "file and line",
    "reason",
    "load",
    "link",
)


class Page:
    """Written from top to bottom as the trail streams by."""

    def __init__(
        self, written: Written, facts: Mapping[str, object], links: Sequence[Row], violations: Sequence[str]
    ) -> None:
        self._out = written
        self._left_out = 0
        title = f"Audit trail of {facts['table']}"
        self._out.write(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
            '<meta name="viewport" content="width=device-width">'
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
            '<p class="dim">Every insert, change and delete, as the ledger has it. The software supports an organisation that '
            "answers to a regulation; this page claims no compliance.</p>\n<dl>"
            + "".join(
                f"<dt>{escape(name)}</dt><dd>{escape(text_of(value))}</dd>" for name, value in facts.items()
            )
            + "</dl>\n"
        )
        if violations:
            told = "<br>".join(map(escape, violations))
            self._out.write(
                f'<p class="warn"><b>The chain does not hold.</b> What follows was changed after it was sealed:<br>{told}</p>\n'
            )
        self._loads(links)
        self._out.write("<h2>Events</h2>\n" + _head(_EVENTS, numbers=("#", "load", "link")))

    def event(self, entry: Entry) -> None:
        if entry.number > MOST_EVENTS:
            self._left_out += 1
            return
        self._out.rows += 1
        values = list(entry.values.items()) or [("", (None, None))]
        span = f' rowspan="{len(values)}"'
        load = entry.load
        key = ", ".join(f"{name} {text_of(value)}" for name, value in entry.key.items())
        where = "" if entry.file is None else f"{entry.file} (sequence {entry.sequence}), line {entry.line}"
        before = (
            f'<td class="number"{span}>{entry.number}</td><td class="when"{span}>{_when(load["loaded_at"])}</td>'
            f'<td class="what"{span}><b class="{entry.action}">{entry.action}</b></td><td{span}>{escape(key)}</td>'
        )
        after = (
            f"<td{span}>{escape(load['actor'])}</td><td{span}>{escape(where)}</td><td{span}>{escape(entry.reason)}</td>"
            f'<td class="number"{span}>{load["load_id"]}</td><td class="number"{span}>{load["link"]}</td>'
        )
        lines = [
            f'<td>{escape(name)}</td><td class="value old">{_value(old)}</td><td class="value">{_value(new)}</td>'
            for name, (old, new) in values
        ]
        first, *others = lines
        rows = [f"<tr>{before}{first}{after}</tr>", *(f"<tr>{line}</tr>" for line in others)]
        self._out.write('<tbody class="event">' + "".join(rows) + "</tbody>\n")

    def end(self) -> None:
        nothing = "" if self._out.rows else '<p class="dim">Nothing happened to it.</p>'
        more = (
            f'<p class="warn">{self._left_out} more events are in trail.jsonl and trail.csv.</p>'
            if self._left_out
            else ""
        )
        self._out.write(f"</table></div>{nothing}{more}\n</body></html>\n")

    def _loads(self, links: Sequence[Row]) -> None:
        names = (
            "link",
            "load",
            "when (UTC)",
            "by",
            "run",
            "outcome",
            "inserted",
            "changed",
            "deleted",
            "reason",
            "definition",
            "hash",
        )
        self._out.write(
            "<h2>Loads</h2>\n" + _head(names, numbers=("link", "load", "inserted", "changed", "deleted"))
        )
        for one in links:
            approval = one["versions"].get("approval")
            definition = f"<code>{one['definition_digest'][:12]}</code>" + (
                f"<br>{escape(approval)}" if approval else ""
            )
            self._out.write(
                f'<tbody><tr><td class="number">{one["link"]}</td><td class="number">{one["load_id"]}</td>'
                f'<td class="when">{_when(one["loaded_at"])}</td><td>{escape(one["actor"])}</td>'
                f"<td>{escape(run_name(one))}</td>"
                f'<td>{escape(one["outcome"])}</td><td class="number">{one["inserted"]}</td>'
                f'<td class="number">{one["updated"]}</td>'
                f'<td class="number">{one["deleted"] + one["removed"]}</td><td>{escape(one["reason"])}</td>'
                f"<td>{definition}</td><td><code>{one['hash'][:16]}</code></td></tr></tbody>\n"
            )
        self._out.write("</table></div>\n")


def _head(names: Sequence[str], numbers: Sequence[str]) -> str:
    cells = "".join(f"<th{' class=number' if name in numbers else ''}>{escape(name)}</th>" for name in names)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead>\n'


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _value(value: object) -> str:
    if value is None:
        return '<span class="none">nothing</span>'
    text = text_of(value)
    return escape(text) if text else '<span class="none">empty text</span>'
