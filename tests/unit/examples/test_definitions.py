"""The clinical example's pipelines, contracts and functions, against what its generator says sites send."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from generator import LIMITS, SITES
from generator.conventions import COLUMNS
from generator.measurements import MEASURED, PANEL, Day
from support.transforming import delivery, problems, text_table, values

from haulier import loading
from haulier_transform.canonical import Canonical
from haulier_transform.functions import Functions

CLINICAL = Path("examples/clinical")


def resolved(pipeline, site):
    return loading.resolve(loading.load_pipeline(CLINICAL, pipeline), site)


def hauled(pipeline, site, rows):
    """What transform makes of some rows, each a mapping from canonical column to cell, as the site writes them."""
    instance, contract = resolved(pipeline, site)
    functions = Functions.load(instance.transform.functions, CLINICAL / "functions")
    columns = COLUMNS[pipeline]
    cells = [[row[column] or None for column in columns] for row in rows]
    text = text_table(SITES[site].header(columns), cells)
    return Canonical(instance, contract, [delivery()], functions).batch(text)


def measured(pipeline, site, count=None, **cells):
    """Rows of an ordinary day, with some cells changed."""
    day = Day(seed=1, site=site, subjects=10, start=date(2026, 1, 5), business=date(2026, 1, 5))
    return [{**row, **cells} for row in MEASURED[pipeline](day)[:count]]


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("pipeline", COLUMNS)
@pytest.mark.requirement("R-32")
def test_a_site_is_read_as_it_writes(pipeline, site):
    """Encoding, delimiter, lines around the data, names of files: what the generator does, the definition says."""
    convention, instance = SITES[site], resolved(pipeline, site)[0]
    csv, transform = instance.source.format, instance.transform

    assert csv.encoding == convention.encoding
    assert csv.delimiter == convention.delimiter
    assert csv.preamble_rows == len(convention.preamble)
    assert (csv.footer.pattern is not None) is (convention.footer is not None)
    assert transform.decimal_mark == convention.decimal
    if pipeline == "labs":
        assert transform.time_zone == convention.timezone
    else:
        assert transform.date_formats == {"visit_date": (convention.vitals_date,)}


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("pipeline", COLUMNS)
def test_a_files_and_its_copies_are_found(tmp_path, pipeline, site):
    name = SITES[site].file_name(pipeline, date(2026, 1, 5))
    stem, suffix = name.split(".", 1)
    folder = tmp_path / site / "2026-01-05"
    folder.mkdir(parents=True)
    wanted = {name, f"copy_of_{name}", f"{stem} (1).{suffix}"}
    other = {
        f"{name}.partial",
        "notes.txt",
        *(p for p in ("vitals_x.csv", "labs_x.csv.gz") if pipeline not in p),
    }
    for one in wanted | other:
        (folder / one).touch()

    path = resolved(pipeline, site)[0].source.files.path

    assert {found.name for found in tmp_path.glob(path)} == wanted


@pytest.mark.parametrize("site", SITES)
def test_ordinary_vitals_become_one_row_a_measurement(site):
    rows = measured("vitals", site)

    result = hauled("vitals", site, rows)

    assert problems(result) == []
    assert result.accepted.all()
    cells = [(number, row[column]) for number, row in enumerate(rows) for column in LIMITS if row[column]]
    assert [value for (value,) in values(result, "result")] == [
        Decimal(cell.replace(",", ".")) for _, cell in cells
    ]
    first = values(result, "study", "subject", "visit", "visit_date", "position", "testcd", "result", "unit")[
        0
    ]
    assert first == (
        "HAUL-301",
        rows[0]["SUBJECT"],
        rows[0]["VISIT"],
        date(2026, 1, 5),
        "SUPINE",
        "SYSBP",
        Decimal(rows[0]["SYS_BP"]),
        "mmHg",
    )


@pytest.mark.parametrize("site", SITES)
def test_ordinary_labs_keep_the_verbatim_result_beside_the_number(site):
    rows = measured("labs", site)

    result = hauled("labs", site, rows)

    assert problems(result) == []
    assert len(result.flags.source) == 0
    assert [verbatim for (verbatim,) in values(result, "result")] == [row["RESULT"] for row in rows]
    for verbatim, number in values(result, "result", "result_numeric"):
        expected = None if verbatim[0] in "<>" else Decimal(verbatim.replace(",", "."))
        assert number == expected
    assert {code for (code,) in values(result, "testcd")} >= {"NA", "K"}


@pytest.mark.requirement("R-32")
def test_collection_times_are_the_sites_local_ones():
    collected = {
        site: values(
            hauled("labs", site, measured("labs", site, 1, COLLECTED="2026-01-05T08:50")), "collected"
        )
        for site in SITES
    }

    assert collected == {
        "701": [(datetime(2026, 1, 5, 8, 50, tzinfo=UTC),)],
        "702": [(datetime(2026, 1, 5, 7, 50, tzinfo=UTC),)],
        "703": [(datetime(2026, 1, 5, 13, 50, tzinfo=UTC),)],
    }


@pytest.mark.parametrize(
    ("site", "verbatim", "number", "flagged"),
    [
        ("701", "4.10", Decimal("4.10"), False),
        ("702", "4,10", Decimal("4.10"), False),
        ("701", "<0.2", None, False),
        ("702", "<0,2", None, False),
        ("701", ">= 500", None, False),
        ("701", "-3", Decimal(-3), False),
        ("701", "4,10", None, True),
        ("702", "4.10", None, True),
        ("701", "clotted", None, True),
        ("701", "1E5", None, True),
        ("701", "1 000", None, True),
    ],
)
def test_a_result_that_is_no_number_is_kept_and_flagged(site, verbatim, number, flagged):
    result = hauled("labs", site, measured("labs", site, 1, RESULT=verbatim))

    assert values(result, "result", "result_numeric") == [(verbatim, number)]
    assert result.flags.rule == (["result-in-words"] if flagged else [])


@pytest.mark.parametrize(
    ("pipeline", "cells", "rule", "column"),
    [
        ("labs", {"TESTCD": "XYL9"}, "enum", "testcd"),
        ("labs", {"COLLECTED": "2026-02-31T08:50"}, "type", "collected"),
        ("labs", {"COLLECTED": "01/05/2026 08:50"}, "type", "collected"),
        ("labs", {"SUBJECT": ""}, "required", "subject"),
        ("labs", {"SUBJECT": "1001"}, "pattern", "subject"),
        ("labs", {"COMMENT": "tube 2\0"}, "nul-byte", "comment"),
        ("labs", {"RESULT": ""}, "required", "result"),
        ("labs", {"LOW": "few"}, "type", "low"),
        ("vitals", {"VISIT_DATE": "31-Feb-2026"}, "type", "visit_date"),
        ("vitals", {"SUBJECT": ""}, "required", "subject"),
        ("vitals", {"POSITION": "HANGING"}, "enum", "position"),
    ],
)
def test_a_row_that_breaks_the_contract_is_rejected_with_a_way_to_fix_it(pipeline, cells, rule, column):
    result = hauled(pipeline, "701", measured(pipeline, "701", 1, **cells))

    assert problems(result) == [(2, -1, [(rule, column)])]
    how_to_fix = resolved(pipeline, "701")[1].column(column).how_to_fix
    assert how_to_fix
    assert result.rejects.reasons[0].message.endswith(how_to_fix)


def test_one_measurement_is_rejected_and_the_others_enter():
    result = hauled("vitals", "701", measured("vitals", "701", 1, SYS_BP="12O", DIA_BP="999"))

    assert problems(result) == [(2, 0, [("type", "result")]), (2, 1, [("impossible", "result")])]
    assert result.accepted.all()
    assert [test for (test,) in values(result, "testcd")] == ["PULSE", "TEMP", "WEIGHT"]


@pytest.mark.parametrize("column", LIMITS)
def test_the_limits_of_a_measurement_are_the_last_possible_values(column):
    low, high = LIMITS[column]

    def rejected(value):
        result = hauled("vitals", "701", measured("vitals", "701", 1, **{column: str(value)}))
        return [rules for _, _, rules in problems(result)]

    assert rejected(low) == rejected(high) == []
    assert rejected(low - Decimal("0.01")) == [[("impossible", "result")]]
    assert rejected(high + Decimal("0.01")) == [[("impossible", "result")]]


def test_an_unusual_measurement_enters_and_is_flagged():
    result = hauled("vitals", "701", measured("vitals", "701", 1, SYS_BP="240"))

    assert problems(result) == []
    assert result.flags.rule == ["unusual"]


def test_a_new_column_changes_nothing():
    instance, contract = resolved("vitals", "701")
    functions = Functions.load(instance.transform.functions, CLINICAL / "functions")
    rows = measured("vitals", "701")
    columns = SITES["701"].columns("vitals", new_column=True)
    text = text_table(columns, [[row[column] or None for column in columns] for row in rows])

    result = Canonical(instance, contract, [delivery()], functions).batch(text)

    assert result.canonical.equals(hauled("vitals", "701", rows).canonical)
    assert any("DEVICE" in note for note in result.notes)


def test_the_contract_lists_the_laboratorys_panel():
    assert resolved("labs", "701")[1].column("testcd").enum == tuple(test.code for test in PANEL)


@pytest.mark.parametrize("pipeline", COLUMNS)
def test_every_column_that_can_be_wrong_says_how_to_mend_it(pipeline):
    """A text without a rule and a value the pipeline computes cannot be the sender's mistake."""
    contract = resolved(pipeline, "701")[1]
    silent = {column.name for column in contract.columns if not column.how_to_fix}

    assert silent == {"vitals": {"testcd", "unit"}, "labs": {"test", "result_numeric", "unit"}}[pipeline]
