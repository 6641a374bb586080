"""What the command prints: to a terminal, to a pipe, to a program."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

from haulier.errors import DataError
from haulier_command.output import Facts, Lines, Screen, Table, columns

TABLE = Table(
    title="Things",
    columns=columns("name", "rows#", "held#?", "state!"),
    rows=[("labs", 1234, 0, "loaded"), ("vitals", 7, 0, "1 quarantined, 2 loaded")],
    note="of today",
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(*blocks: Table | Lines | Facts, terminal: bool = False, **environ: str) -> str:
    out = Terminal() if terminal else io.StringIO()
    Screen("text", environ, out, io.StringIO()).show({}, *blocks)
    return out.getvalue()


def test_a_pipe_gets_aligned_columns_and_nothing_else() -> None:
    assert shown(TABLE) == (
        "Things\nname    rows  state\nlabs    1234  loaded\nvitals     7  1 quarantined, 2 loaded\nof today\n"
    )


def test_a_column_of_zeros_is_left_out_only_where_that_was_said() -> None:
    table = Table(title="", columns=columns("name", "held#?", "read#"), rows=[("labs", 3, 0)])
    assert shown(table) == "name  held  read\nlabs     3     0\n"


def test_blocks_are_an_empty_line_apart() -> None:
    assert shown(Lines(lines=["a"]), Lines(title="B", lines=["b"])) == "a\n\nB\nb\n"


def test_a_table_without_rows_says_so() -> None:
    assert (
        shown(Table(title="Runs", columns=columns("run#"), rows=[], nothing="no run yet"))
        == "Runs\nno run yet\n"
    )


def test_facts_without_a_value_are_left_out() -> None:
    facts = Facts(title="one", facts=[("file", "a.csv"), ("row number", 3), ("unit", None), ("note", "")])
    assert shown(facts) == "one\nfile        a.csv\nrow number  3\n"


def test_nothing_from_a_file_steers_a_terminal() -> None:
    """An escape sequence in a row is shown, not obeyed; so are marks that turn text around."""
    evil = "a\x1b[31mred\x1b]0;title\x07\u202eb\x9b"
    for terminal in (False, True):
        text = shown(
            Lines(lines=[evil]), Facts(title="", facts=[("x", evil)]), terminal=terminal, NO_COLOR="1"
        )
        assert "\x1b[31m" not in text
        assert "\\x1b[31mred" in text
        assert "\u202e" not in text
        assert "\x9b" not in text


def test_a_terminal_gets_colour_unless_it_wants_none(monkeypatch: object) -> None:
    assert "\x1b[" in shown(TABLE, terminal=True, TERM="xterm-256color")


def test_a_table_of_ten_columns_keeps_its_words_whole_at_eighty() -> None:
    names = (
        "pipeline",
        "site",
        "produced#",
        "inserted#",
        "updated#",
        "unchanged#",
        "duplicate#",
        "rejected#",
    )
    table = Table(
        title="", columns=columns(*names, "held#", "s#"), rows=[("vitals", "703", *([1_234] * 7), 1.5)]
    )
    said = re.sub(r"\x1b\[[0-9;]*m", "", shown(table, terminal=True))
    head = said.splitlines()[0]
    assert head.split() == [name.rstrip("#") for name in (*names, "held", "s")]
    assert len(said.splitlines()) == 3


def test_markup_in_a_cell_is_text() -> None:
    table = Table(title="[bold]t[/bold]", columns=columns("a"), rows=[("[red]x[/red]",)])
    assert "[red]x[/red]" in shown(table, terminal=True)
    assert "[bold]t[/bold]" in shown(table, terminal=True)


def test_wide_characters_keep_columns_aligned() -> None:
    table = Table(title="", columns=columns("a", "b"), rows=[("日本", "x"), ("abcd", "y"), ("é", "z")])
    assert shown(table) == "a     b\n日本  x\nabcd  y\né     z\n"


def test_json_is_one_document_and_keeps_what_numbers_and_times_say() -> None:
    out = io.StringIO()
    document = {
        "at": datetime(2026, 1, 5, 9, 30, 7, tzinfo=timezone(timedelta(hours=1))),
        "limit": Decimal("0.050"),
        "path": Path("/x"),
        "raw": b"a\xff",
    }
    Screen("json", {}, out, io.StringIO()).show(document, TABLE)
    assert json.loads(out.getvalue()) == {
        "at": "2026-01-05T08:30:07+00:00",
        "limit": "0.050",
        "path": "/x",
        "raw": "a\\xff",
    }


def test_an_error_is_a_document_too() -> None:
    out, err = io.StringIO(), io.StringIO()
    Screen("json", {}, out, err).fail(DataError("rows are bad"))
    assert json.loads(out.getvalue()) == {"error": "rows are bad", "exit_code": 65}
    assert err.getvalue() == "haulier: rows are bad\n"


def test_text_errors_go_to_stderr_only() -> None:
    out, err = io.StringIO(), io.StringIO()
    Screen("text", {}, out, err).fail(DataError("rows are bad"))
    assert (out.getvalue(), err.getvalue()) == ("", "haulier: rows are bad\n")


def test_times_in_tables_are_utc_to_the_minute() -> None:
    at = datetime(2026, 1, 5, 9, 30, 7, tzinfo=UTC)
    assert "2026-01-05 09:30Z" in shown(Facts(title="", facts=[("at", at)]))
