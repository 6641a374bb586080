"""A value that means nothing where it stands is named with the way out."""

import pytest
from support.definitions import refusal, resolve, writer


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


MEANING = [
    ({"pipeline": "Orders"}, 'pipeline: "Orders" must be the file\'s name, "orders"; rename one of the two'),
    ({"pipeline": "a/b"}, "pipeline: 'a/b' cannot be a name; use letters"),
    ({"instances": {"a b": {}, "north": {}}}, "instances.\"a b\": 'a b' cannot be a name; use letters"),
    ({"schedule": "@dayly"}, 'schedule: "@dayly" is not a schedule; did you mean "@daily"?'),
    (
        {"schedule": "0 4 * *"},
        'schedule: "0 4 * *" is not a schedule; use "@hourly", "@daily", "@weekly" or "@monthly", or a cron line',
    ),
    ({"schedule": "0 24 * * *"}, 'schedule: "24" in "0 24 * * *" is not a cron field from 0 to 23'),
    ({"schedule": "*/0 4 * * *"}, 'schedule: "*/0" in "*/0 4 * * *" is not a cron field from 0 to 59'),
    ({"schedule": "0 4 * 13,1 *"}, 'schedule: "13,1" in'),
    ({"schedule": "0 4 * * fri-mon"}, 'schedule: "fri-mon" in'),
    ({"instances.north.parameters.name": "x"}, "instances.north.parameters.name has a meaning already"),
    ({"instances.north.parameters.a-b": "x"}, "instances.north.parameters.a-b cannot be a placeholder"),
    (
        {"source.files.path": "{instanc}/*.csv"},
        'source.files.path: "{instanc}" is not a placeholder here; did you mean "{instance}"?',
    ),
    (
        {"source.files.path": "{folder}/*.csv"},
        'source.files.path: "{folder}" is not a placeholder here; use "{instance}", "{pipeline}" or "{date:%Y-%m-%d}"',
    ),
    ({"source.files.path": "{name}.csv"}, 'source.files.path: "{name}" is not a placeholder here'),
    (
        {"source.files.path": "{instance/*.csv"},
        'source.files.path: "{instance/*.csv" has a brace without its partner',
    ),
    (
        {"source.files.path": "{date}.csv", "source.files.select": "name"},
        "source.files.path: {date} needs a format, such as {date:%Y-%m-%d}",
    ),
    (
        {"source.files.path": "{date:%Y-%Q}.csv", "source.files.select": "name"},
        'source.files.path: {date:%Y-%Q}: "%Q" in "%Y-%Q" is not a directive; use %Y',
    ),
    (
        {"source.files.path": "{date:%Y-%m}.csv", "source.files.select": "name"},
        "source.files.path: {date:%Y-%m} does not name a whole day: year, month and day",
    ),
    (
        {"source.files.path": "{date:%Y}/{date:%Y-%m-%d}.csv", "source.files.select": "name"},
        'source.files.path: "{date:%Y}/{date:%Y-%m-%d}.csv" has more than one date; keep one, write * for the others',
    ),
    ({"source.files.path": "../in/*.csv"}, 'source.files.path: "../in/*.csv" leaves the source folder'),
    (
        {"source.files.select": "name"},
        'source.files.select: "name" needs a date in source.files.path ("{instance}/{pipeline}_*.csv"), such as '
        "{date:%Y-%m-%d}; or write select: modified",
    ),
    (
        {"source.files.path": "{date:%Y-%m-%d}.csv"},
        "source.files.path: {date:%Y-%m-%d} has no part in select: modified; write * in its place, or select: name",
    ),
    (
        {"source.files.logical_name": "{nam}"},
        'source.files.logical_name: "{nam}" is not a placeholder here; did you mean "{name}"?',
    ),
    ({"source.files.logical_name": "{date:%Y}"}, 'logical_name: "{date:%Y}" is not a placeholder here'),
    (
        {"source.files.ready": {"marker": "{path}.done"}},
        'source.files.ready.marker: "{path}" is not a placeholder',
    ),
    (
        {"source.identifiers": {"exempt": ["kind"]}},
        "source.identifiers names nothing that may not be there; write columns or patterns below it",
    ),
    (
        {"source.identifiers": {"patterns": {"email": "(@"}}},
        'source.identifiers.patterns.email: "(@" is not a regular expression: ',
    ),
    (
        {"source.identifiers": {"patterns": {"email": "(?=@)."}}},
        'source.identifiers.patterns.email: "(?=@)." has a look-around, which patterns may not',
    ),
    (
        {"source.identifiers": {"patterns": {"phone": "[0-9]*"}}},
        'source.identifiers.patterns.phone: "[0-9]*" matches an empty cell, so that no file would get past it',
    ),
    (
        {"source.identifiers": {"columns": ["*NO*"]}},
        'transform.columns.No: "No" is a name that source.identifiers.columns stops ("*NO*"); exempt it there',
    ),
    (
        {"source.csv.encoding": "cp1225"},
        'source.csv.encoding: "cp1225" is not an encoding; did you mean "cp1252"?',
    ),
    ({"source.csv.encoding": "qqqqqqqq"}, 'is not an encoding; such as "utf-8", "cp1252" or "latin-1" is'),
    ({"source.csv.encoding": "base64"}, 'source.csv.encoding: "base64" is no encoding of text files'),
    ({"source.csv.encoding": "idna"}, 'source.csv.encoding: "idna" is no encoding of text files'),
    ({"source.csv.delimiter": '"'}, 'source.csv.delimiter: "\\"" is the quote character as well'),
    (
        {"source.csv.delimiter": "§"},
        'source.csv.delimiter: "§" cannot separate columns; use one ASCII character',
    ),
    ({"source.csv.quote": "«"}, 'source.csv.quote: "«" cannot quote'),
    (
        {"source.csv.footer.pattern": "Total: (["},
        'source.csv.footer.pattern: "Total: ([" is not a regular expression: unterminated character set at character 9',
    ),
    (
        {"transform.time_zone": "Europe/Berln"},
        '"Europe/Berln" is not a time zone; did you mean "Europe/Berlin"?',
    ),
    (
        {"transform.time_zone": "../../etc/passwd"},
        '"../../etc/passwd" is not a time zone; use a name such as',
    ),
    ({"transform.functions": ["total"]}, 'transform.functions[0]: "total" is not module.function, such as'),
    ({"transform.functions": ["a.b.c"]}, 'transform.functions[0]: "a.b.c" is not module.function, such as'),
    (
        {"transform.reshape": True, "transform.functions": []},
        "transform.reshape: no function is named that could reshape",
    ),
    (
        {"transform.date_formats.placed": ["dd-MMM-yyyy"]},
        'transform.date_formats.placed[0]: "dd-MMM-yyyy" is not a strptime format such as "%d.%m.%Y", or "iso"; did you '
        'mean "%d-%b-%Y"?',
    ),
    ({"transform.date_formats.placed": ["%d.%Q.%Y"]}, '"%Q" in "%d.%Q.%Y" is not a directive; use %Y'),
    ({"transform.date_formats.placed": ["%d.%m"]}, '"%d.%m" does not say one full date'),
    ({"transform.date_formats.placed": ["%d.%d.%Y"]}, '"%d" is twice in "%d.%d.%Y"'),
    ({"transform.date_formats.placed": ["%d.%m.%Y %I:%M"]}, "%I and %p need each other"),
    ({"transform.date_formats.placed": []}, "transform.date_formats.placed names no format"),
    (
        {"transform.date_formats.plced": ["iso"]},
        'transform.date_formats.plced is not a column of contracts/orders.odcs.yaml; did you mean "placed"?',
    ),
    (
        {"transform.date_formats.amount": ["iso"]},
        "transform.date_formats.amount is a column of numeric; formats are for dates and times",
    ),
    (
        {"transform.columns.No": "numbr"},
        'transform.columns.No: "numbr" is not a column of contracts/orders.odcs.yaml; did you mean "number"?',
    ),
    (
        {"transform.columns.No": "total"},
        'transform.columns.No: "total" is derived (transformLogic in contracts/',
    ),
    (
        {"transform.functions": []},
        'transform.functions: "total" of contracts/orders.odcs.yaml is derived (transformLogic), so name the function',
    ),
    ({"contract": "../contracts/order.odcs.yaml"}, 'did you mean "../contracts/orders.odcs.yaml"?'),
    (
        {"contract": "contracts/orders.odcs.yaml"},
        'contract: there is no file "contracts/orders.odcs.yaml", seen from',
    ),
]


@pytest.mark.parametrize(("changes", "message"), MEANING, ids=lambda value: next(iter(value), "")[:40])
def test_a_value_without_a_meaning_is_named_with_the_way_out(write, changes, message):
    text = refusal(write(changes))

    assert text.startswith("pipelines/orders.yaml: ")
    assert message in text


def test_a_problem_written_in_an_override_is_named_there(write):
    folder = write({"instances.south.transform.time_zone": "Europe/Berln"})

    assert "pipelines/orders.yaml: instances.south.transform.time_zone: " in refusal(folder, "south")
    assert resolve(folder, "north")


def test_a_problem_written_in_the_pipeline_is_named_there_for_any_instance(write):
    folder = write({"transform.time_zone": "Europe/Berln"})

    assert "pipelines/orders.yaml: transform.time_zone: " in refusal(folder, "south")


def test_a_problem_of_the_contract_is_named_in_the_contract(write):
    text = refusal(write(contract={"schema.0.properties.1.requird": True}))

    assert text.startswith(
        "contracts/orders.odcs.yaml: schema[orders].properties[placed].requird is not a setting"
    )


def test_a_path_elsewhere_names_a_store_that_is_known(write):
    def said(path):
        return refusal(write({"source.files.path": path, "source.files.select": "modified"}))

    assert 'source.files.path: "s4://bucket/x" is nowhere Haulier reads; did you mean "s3://"?' in said(
        "s4://bucket/x"
    )
    assert "names no place; write s3://bucket/prefix/*.csv" in said("s3:///x")
    assert "names no place" in said("s3://b*/x")
    assert "holds a user or a password" in said("https://me:secret@host/x.csv")
    assert "have no part in an address: a web server lists nothing" in said("https://host/*.csv")
    assert "names no place; write sftp://host/exports/*.csv" in said("sftp:///x")
    assert "holds a user or a password" in said("sftp://me@host/x.csv")
    for path in ("sftp://host", "sftp://host/", "sftp://host:port/x.csv", "sftp://host:0/x.csv"):
        assert "names no files of a server; write sftp://host/exports/*.csv" in said(path)
    waiting = {"source.files.path": "s3://b/x", "source.files.ready.wait_minutes": 5}
    assert "source.files.ready.wait_minutes is for files in a folder" in refusal(write(waiting))


def test_columns_of_fixed_width_follow_one_another(write):
    columns = [{"name": "a", "width": 3}, {"name": "b", "width": 2, "start": 3}]

    text = refusal(
        write({"source.csv": ..., "source.fixed": {"columns": columns}, "instances.south.source": ...})
    )

    assert 'source.fixed.columns[b].start: 3 lies inside "a", which ends at 3' in text
    assert "source.fixed.columns is missing" in refusal(write({"source.csv": ..., "source.fixed": {}}))
