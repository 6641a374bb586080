"""Parts of the review that need no trial: steps, periods, what is left out, and HTML where nothing is markup but its own."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, date, datetime, timedelta

import pytest

from haulier.errors import DefinitionError
from haulier.settings import Settings
from haulier_clinical.__main__ import main
from haulier_clinical.reviewing import board, trends
from haulier_clinical.reviewing.asking import alert
from haulier_clinical.reviewing.completeness import _planned as planned
from haulier_clinical.reviewing.drawing import charts
from haulier_clinical.reviewing.drawing.html import Html, join, left_out, measured, number, table, tag
from haulier_clinical.reviewing.habits import _site as habit
from haulier_clinical.reviewing.planned import Visit, soft_limits
from haulier_clinical.reviewing.reading import Asked, Trial
from haulier_clinical.reviewing.shares import MOST_SITES

DATES = [date(2026, 1, 5) + timedelta(days=day) for day in range(9)]


def steps(*middles, spread=10.0, records=5):
    points = [
        {"period": place, "records": records, "quartiles": [middle, middle, middle], "sent": ["mg/dL"]}
        for place, middle in enumerate(middles)
    ]
    found = trends._steps({"testcd": "CREAT", "spec": None}, "701", points, spread, DATES)
    return [(step["at"], step["before"], step["after"]) for step in found]


def test_a_switch_of_units_is_one_step_on_its_day():
    assert steps(88, 90, 89, 1, 1, 1, 1) == [(DATES[3], 89, 1)]


def test_a_period_with_both_units_in_it_hides_no_step():
    assert steps(88, 90, 89, 45, 1, 1, 1) == [(DATES[3], 89, 1)]


def test_there_and_back_are_two_steps():
    assert steps(5, 5, 5, 90, 90, 90, 90, 5, 5, spread=0.5) == [(DATES[3], 5, 90), (DATES[7], 90, 5)]


def test_one_odd_period_and_what_is_usual_are_no_step():
    assert steps(5, 5, 5, 90, 5, 5, 5, spread=0.5) == []
    assert steps(20, 24, 19, 26, 31, 18, spread=12) == []
    assert steps(5) == []


@pytest.mark.parametrize(
    ("days", "records", "expected"),
    [
        # (days of a period, periods); five results of a series in each, at most twenty periods.
        (1, 10, (1, 1)),
        (10, 50, (1, 10)),
        (30, 150, (2, 15)),
        (30, 30, (7, 5)),
        (30, 3, (15, 2)),
        (900, 9000, (91, 10)),
    ],
)
def test_a_period_is_as_short_as_its_results_allow(days, records, expected):
    window = {"first": DATES[0], "last": DATES[0] + timedelta(days=days - 1), "records": records, "series": 1}

    assert trends._cut(window) == expected


def test_of_too_many_sites_those_that_want_nobody_are_left_out():
    def site(number, missing):
        counts = dict.fromkeys(board.STATES, 0) | {"missing": missing}
        return {"site": f"{number:03}", "pipeline": "lb", "counts": counts, "rows": 2, "rejected": 1}

    made = board._table("clinical.lb", [site(number, number % 2) for number in range(MOST_SITES + 5)])

    assert len(made["sites"]) == MOST_SITES
    assert made["left_out"] == ["116", "118", "120", "122", "124"]
    assert (made["counts"]["missing"], made["rows"], made["reject_percent"]) == (62, 250, 50.0)
    assert "sites 116, 118" in join([left_out(made["left_out"], "sites")]).replace("<span>", "")


@pytest.mark.parametrize(
    ("was", "other"),
    [
        ('lb_{date:%Y-%m-%d}.csv"\n    select: name', 'lb_*.csv"\n    select: modified'),
        ("select: name", "select: name\n    look_back_days: 2"),
        ('schedule: "@daily"', 'schedule: "@weekly"'),
        ('schedule: "@daily"', 'schedule: "0 6 * * *"'),
    ],
)
def test_a_file_is_of_its_runs_day_only_where_that_is_the_day_in_its_name(tmp_path, was, other):
    shutil.copytree("examples/clinical/sdtm", tmp_path / "sdtm")
    path = tmp_path / "sdtm/pipelines/lb.yaml"
    text = path.read_text("utf-8")
    assert was in text
    path.write_text(text.replace(was, other), "utf-8")
    settings = Settings.from_env({"HAULIER_DEFINITIONS": str(tmp_path / "sdtm")})
    trial = Trial(cursor=None, settings=settings, asked=Asked(as_of=datetime(2026, 1, 6, tzinfo=UTC)))

    assert {name.partition("/")[0] for name in board._by_name(trial)} == {"dm", "vs"}


def test_digits_are_judged_from_fifty_numbers_on():
    even = habit("701", [10, 0] * 5, None)
    few = habit("702", [9, 0] * 5, None)

    # 50 numbers, five of each expected: ten times 25 / 5.
    assert (even["chi_square"], even["prefers"]) == (50.0, True)
    assert (few["chi_square"], few["prefers"]) == (None, False)


@pytest.mark.parametrize(
    ("share", "said"), [(None, ""), (5.0, ""), (5.1, "elevated"), (10.0, "elevated"), (10.1, "high")]
)
def test_alerts_are_those_of_the_command(share, said):
    assert alert(share) == said


def test_texts_and_attributes_are_escaped_and_markup_is_not_twice():
    made = table("<i>", [("a&b", ""), ("n", "n")], [("<b>", tag("td", "'\"<", title='"><script>'))])

    assert "<i>" not in made
    assert "<script>" not in made
    assert "&lt;b&gt;" in made
    assert "a&amp;b" in made
    assert 'title="&quot;&gt;&lt;script&gt;"' in made
    assert tag("p", Html("<b>x</b>"), None) == "<p><b>x</b></p>"


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("701\u202e107", "701\\u202e107"),
        ("a\u2066b\u200bc", "a\\u2066b\\u200bc"),
        ("\x00\x1b[31m\n", "\\x00\\x1b[31m\\n"),
        ("\u2028", "\\u2028"),
        ("Hämoglobin µg/L 1\u202f234", "Hämoglobin µg/L 1\u202f234"),
    ],
)
def test_what_steers_text_is_written_out(sent, shown):
    assert tag("td", sent, title=sent) == f'<td title="{shown}">{shown}</td>'


def test_a_text_that_looks_like_a_cell_is_none():
    made = table("t", [("a", ""), ("b", "")], [("x", "<td onclick=alert(1)>")])

    assert "<td onclick" not in made


def test_charts_say_in_words_what_they_show():
    made = charts.digits([6, 0, 0, 0, 0, 4, 0, 0, 0, 0])

    assert "<title>last digits, 0: 60 %" in made
    assert 'role="img"' in made


def test_numbers_are_short():
    assert [number(value) for value in (1234567, 12.0, 0.25, None)] == [
        "1\u202f234\u202f567",
        "12",
        "0.2",
        "",
    ]
    assert [measured(value) for value in (118.25, 14.36, 4.972, 0.0113, 0.0)] == [
        "118",
        "14.4",
        "4.97",
        "0.011",
        "0",
    ]


def test_a_start_at_the_end_of_all_dates_is_no_end_of_the_page():
    def visit(day):
        return Visit(name="WEEK 2", number="3", day=day)

    assert planned(date(2026, 1, 5), visit(14)) == date(2026, 1, 18)
    assert planned(date(2026, 1, 5), visit(-7)) == date(2025, 12, 29)
    assert planned(date(9999, 12, 31), visit(14)) is None
    assert planned(date(2026, 1, 5), visit(10**9)) is None
    assert planned(None, visit(14)) is None


@pytest.mark.parametrize("option", ["--visit-window", "--overdue-after", "--late-after", "--days"])
@pytest.mark.parametrize("days", ["3651", "9999999999", "9" * 5000, "-1", "٣"])
def test_no_number_of_days_is_beyond_ten_years(capsys, option, days):
    with pytest.raises(SystemExit) as ended:
        main(["review", "--output", "json", f"{option}={days}"])

    assert ended.value.code == 2
    assert f"argument {option}: {days!r} is no number of days from 0 to 3650" in capsys.readouterr().err


@pytest.mark.parametrize(
    "moment", ["0001-01-05T00:00Z", "9999-12-31T00:00Z", "0001-01-01T00:00+05:00", "1899-12-31T23:59Z"]
)
def test_a_clock_without_days_before_and_behind_it_is_refused(capsys, moment):
    assert main(["review", "--output", "json", "--as-of", moment]) == 2
    assert capsys.readouterr().err == f"--as-of {moment}: is no time of the years 1900 to 9899\n"


def limits(folder, *lines):
    path = folder / "limits.csv"
    path.write_text("\n".join(["domain,testcd,unit,hard_low,hard_high,soft_low,soft_high", *lines]), "utf-8")
    return path


def test_of_a_limit_that_stands_there_twice_the_last_counts(tmp_path):
    path = limits(
        tmp_path,
        *("VS,SYSBP,mmHg,,,60,200", "VS,SYSBP,mmHg,,,70,190", "VS,SYSBP,MMHG,,,80,180"),
        *("VS,TEMP,C,,,1/2,42", "VS,TEMP,F,,,95,", "LB,K,mmol/L,,,2,8", "LB,K,mmol/L,,,,"),
    )

    # A measurement that meets a limit twice would be two of them.
    assert soft_limits(path) == {
        "VS": [
            {"testcd": "SYSBP", "unit": "MMHG", "low": "80", "high": "180"},
            {"testcd": "TEMP", "unit": "C", "low": "0.5", "high": "42"},
        ]
    }


@pytest.mark.parametrize("limit", ["sixty", "NaN", "Infinity", "1/0"])
def test_a_limit_that_is_no_number_is_named(tmp_path, limit):
    path = limits(tmp_path, "VS,SYSBP,mmHg,,,60,200", f"VS,DIABP,mmHg,,,{limit},120")

    with pytest.raises(DefinitionError) as raised:
        soft_limits(path)

    assert str(raised.value) == f"{path}, row 2: soft_low: {limit!r} is no number such as 0.357 or 5/9"


@pytest.mark.parametrize("verb", [["review", "--to", "review.html"], ["export", "--to", "export"]])
def test_without_a_server_by_name_the_error_says_how_to_name_it(monkeypatch, tmp_path, capsys, verb):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    # Nobody listens on this port of this machine.
    monkeypatch.setenv("PGPORT", "1")

    assert main(verb) == 75
    assert (
        "PG* name no server: for the one of `haulier up`, say first: . .haulier/env.sh"
        in capsys.readouterr().err
    )

    monkeypatch.setenv("PGHOST", "127.0.0.1")
    assert main(verb) == 75
    assert "PG* name no server" not in capsys.readouterr().err
