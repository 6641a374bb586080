"""A key or a value that a definition file cannot have is named with the way out."""

import pytest
from support.definitions import refusal, writer


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


STRUCTURE = [
    ({"load.mode": "upsrt"}, 'load.mode: "upsrt" is not a mode; did you mean "upsert"?'),
    (
        {"load.mode": "merge-it"},
        'load.mode: "merge-it" is not a mode; use "append", "replace", "scd2" or "upsert"',
    ),
    (
        {"source.csv.encodin": "utf-8"},
        'source.csv.encodin is not a setting of source.csv; did you mean "encoding"?',
    ),
    (
        {"source.files.ready": {"zzz": 1}},
        'source.files.ready.zzz is not a setting of source.files.ready; its settings are "quiet_seconds", '
        '"last_line", "marker" and "wait_minutes"',
    ),
    ({"sorce": {}}, 'sorce is not a setting of a pipeline; did you mean "source"?'),
    ({"schedul": "x", "schedule": ...}, 'schedul is not a setting of a pipeline; did you mean "schedule"?'),
    ({"source": ...}, "source is missing"),
    ({"source.files.path": ...}, "source.files.path is missing"),
    ({"source.files.path": ""}, 'source.files.path: "" is too short; at least 1 character'),
    ({"source.csv.delimiter": ";;"}, 'source.csv.delimiter: ";;" is too long; at most 1 character'),
    ({"source.csv": ["utf-8"]}, "source.csv: a list is not a mapping of settings"),
    ({"source.csv.preamble_rows": -1}, "source.csv.preamble_rows: -1 is out of range; 0 or more"),
    ({"source.csv.preamble_rows": "two"}, 'source.csv.preamble_rows: "two" is not a whole number'),
    ({"source.csv.preamble_rows": 1.5}, "source.csv.preamble_rows: 1.5 is not a whole number"),
    ({"source.csv.header_rows": 10}, "source.csv.header_rows: 10 is out of range; between 1 and 9"),
    ({"load.reject_threshold": 5}, "load.reject_threshold: 5 is out of range; between 0 and 1"),
    ({"load.reject_threshold": "5 %"}, 'load.reject_threshold: "5 %" is not a number'),
    ({"load": None}, "load has no value; a mapping of settings is needed, write {} for an empty one"),
    ({"catchup": "x"}, 'catchup: "x" is not true or false'),
    ({"start": "5 January"}, 'start: "5 January" is not a date such as 2026-01-05'),
    ({"start": "2026-02-30"}, 'start: "2026-02-30" is not a date such as 2026-01-05'),
    ({"tags": "a"}, 'tags: "a" is not a list'),
    ({"tags": [1.50]}, 'tags[0]: 1.5 is a number to YAML; write "1.5" in quotes'),
    ({"tags": [True]}, 'tags[0]: true is a truth value to YAML; write "true" in quotes'),
    ({"owner": None}, "owner has no value; text is needed, or leave the key out"),
    ({"transform.columns.A B": 3}, 'transform.columns."A B": 3 is a number to YAML; write "3" in quotes'),
    (
        {"instances.north": None},
        "instances.north has no value; a mapping of settings is needed, write {} for an empty one",
    ),
    (
        {"instances.north.load": {}},
        'instances.north.load is not a setting of instances.north; its settings are "description", "operators", '
        '"parameters", "source", "transform" and "changes"',
    ),
    ({"instances.north.sourc": {}}, 'sourc is not a setting of instances.north; did you mean "source"?'),
    (
        {"instances.north.source.csv": {"encodin": "x"}},
        "instances.north.source.csv.encodin is not a setting of",
    ),
    (
        {"instances.north.source.files.select": "nam"},
        'instances.north.source.files.select: "nam" is not a select; did you mean "name"?',
    ),
    ({"instances.north.transform.reshape": 1}, "instances.north.transform.reshape: 1 is not true or false"),
    ({"instances.north.source.files": {"path": None}}, "source.files.path is missing"),
]


@pytest.mark.parametrize(("changes", "message"), STRUCTURE, ids=lambda value: next(iter(value), "")[:40])
def test_a_wrong_key_or_value_is_named_with_the_way_out(write, changes, message):
    text = refusal(write(changes))

    assert text.startswith("pipelines/orders.yaml: ")
    assert message in text


def test_every_problem_is_named_at_once(write):
    text = refusal(write({"load.mode": "upsrt", "source.csv.encodin": "x", "start": "soon"}))

    assert len(text.splitlines()) == 3


def test_a_number_is_shown_as_it_stands_in_the_file(write):
    folder = write()
    file = folder / "pipelines" / "orders.yaml"
    file.write_text(file.read_text() + "owner: 1.50\n")

    assert refusal(folder) == (
        'pipelines/orders.yaml: owner: 1.50 is a number to YAML; write "1.50" in quotes'
    )


def test_a_file_has_one_format(write):
    assert refusal(write({"source.jsonl": {}})).startswith(
        "pipelines/orders.yaml: source.jsonl stands beside source.csv, and a file has one format"
    )
    assert refusal(write({"instances.north.source.jsonl": {}})).startswith(
        "pipelines/orders.yaml: instances.north.source.jsonl stands beside source.csv"
    )
    assert 'source.jsonl.encoding: "utf8x" is not an encoding' in refusal(
        write({"source.csv": ..., "source.jsonl.encoding": "utf8x"})
    )
