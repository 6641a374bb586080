"""YAML as plain values: what two readers would read differently is refused."""

from datetime import date
from decimal import Decimal

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from haulier import documents
from haulier.errors import DefinitionError


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "a.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return documents.read(path, "a.yaml")

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: b", {"a": "b"}),
        ("a: 2026-01-05", {"a": "2026-01-05"}),
        ("a: 2026-01-05T08:50:00Z", {"a": "2026-01-05T08:50:00Z"}),
        ("a: NA", {"a": "NA"}),
        ("a: N", {"a": "N"}),
        ("a: 1.0.0", {"a": "1.0.0"}),
        ("a: -7", {"a": -7}),
        ("a: 0", {"a": 0}),
        ("a: 0.10", {"a": Decimal("0.10")}),
        ("a: 0.1000000000000000055511151231257827", {"a": Decimal("0.1000000000000000055511151231257827")}),
        ("a: .5", {"a": Decimal("0.5")}),
        ("a: true", {"a": True}),
        ("a: ~", {"a": None}),
        ("a:", {"a": None}),
        ('a: "701"', {"a": "701"}),
        ("a: !!str 701", {"a": "701"}),
        ("a: 'no'", {"a": "no"}),
        ("a: |\n  no\n", {"a": "no\n"}),
        ("a: [x, {b: 1}]", {"a": ["x", {"b": 1}]}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("\ufeffa: é", {"a": "é"}),
        ("a: 12-30", {"a": "12-30"}),
        ("a: 08:50", {"a": "08:50"}),
        ("a: 701-1001", {"a": "701-1001"}),
        ("a: on time", {"a": "on time"}),
    ],
)
def test_reads_plain_values(read, text, value):
    found = read(text)

    assert found == value
    assert type(found["a"]) is type(value["a"])


@pytest.mark.parametrize("word", ["yes", "No", "ON", "off", "NO"])
def test_a_word_that_some_readers_take_for_a_truth_value_needs_quotes(read, word):
    meant = "true" if word.lower() in ("yes", "on") else "false"

    with pytest.raises(DefinitionError) as refused:
        read(f"a:\n  b: [x, {word}]")

    assert str(refused.value) == (
        f"a.yaml: a.b[1]: {word} is {meant} to some YAML readers and text to others; "
        f'write {meant}, or "{word}" in quotes'
    )


@pytest.mark.parametrize(
    "number", ["0701", "007", "12:30", "1_000", "1e3", "0x1F", "0o17", "0b11", ".inf", ".nan"]
)
def test_a_number_that_readers_disagree_about_needs_quotes(read, number):
    with pytest.raises(
        DefinitionError, match=rf'a\.yaml: a: {number} is one number .* write "{number}" in quotes'
    ):
        read(f"a: {number}")


def test_a_key_that_yaml_takes_for_a_number_needs_quotes(read):
    with pytest.raises(DefinitionError) as refused:
        read("instances:\n  701: {}")

    assert str(refused.value) == ('a.yaml: instances: the key 701 is a number to YAML; write "701" in quotes')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.yaml: the file is empty"),
        ("# nothing\n", "a.yaml: the file is empty"),
        ("a: {b: 1, b: 2}", "a.yaml: a.b: the key is given twice, again on line 1"),
        ("a: 1\nb: 2\na: 3", "a.yaml: a: the key is given twice, again on line 3"),
        ("a: 1\n---\nb: 2", "a.yaml: holds more than one document (---); write one file for each"),
        ("a: {<<: {b: 1}}", "a.yaml: a: << (YAML's merge key)"),
        ("a: !!set {b}", "a.yaml: a: the tag tag:yaml.org,2002:set is not understood; remove it"),
        ("a: !!python/object:os.system {}", "a.yaml: a: the tag tag:yaml.org,2002:python/object:os.system"),
        ("a: *b", "a.yaml: a: *b stands for nothing that was complete before it"),
        ("a: &x [*x]", "a.yaml: a[0]: *x stands for nothing that was complete before it"),
        ("a:\n\tb: 1", "a.yaml: line 2, column 1: found character that cannot start any token; YAML indents"),
        ("a: @b", "a.yaml: line 1, column 4: found character that cannot start any token; YAML indents"),
        ("a: [1", "a.yaml: line 2, column 1: did not find expected ',' or ']'"),
        ("? [a]\n: 1", "a.yaml: has a key that is not a text"),
        (b"a: \xe9", "a.yaml: byte 3 is not UTF-8; save the file as UTF-8"),
        ("a: \x07", "a.yaml: "),
        ("a: " + "[" * 60 + "]" * 60, "is too much: aliases of aliases, or nested too deeply"),
    ],
)
def test_says_where_and_why_a_file_is_refused(read, text, message):
    with pytest.raises(DefinitionError) as refused:
        read(text)

    assert message in str(refused.value)


def test_aliases_of_aliases_end_in_an_error_and_not_in_a_full_memory(read):
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 20)}]" for n in range(1, 12)]

    with pytest.raises(DefinitionError, match="is too much: aliases of aliases"):
        read("\n".join(["l0: &l0 [x]", *levels]))


def test_a_missing_file_is_a_definition_error(tmp_path):
    with pytest.raises(DefinitionError, match=r"a\.yaml: cannot be read \(No such file or directory\)"):
        documents.read(tmp_path / "a.yaml", "a.yaml")


def test_original_texts_are_what_stands_in_the_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("a: [1.50, x]\nb: 'y'")

    assert documents.original_texts(path, "a.yaml") == {("a", 0): "1.50", ("a", 1): "x"}


@given(st.text(alphabet="0123456789.:_-+eExXoObByYnNsSfFtTruUalL~I", min_size=1, max_size=8))
@example("1:30.5")
@example("0o7")
@example("1e3")
@example("NULL")
@settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_plain_scalar_that_is_read_means_the_same_in_yaml_1_1(read, scalar):
    """PyYAML's own loader stands for YAML 1.1; what it calls a day stays text here."""
    document = f"a: {scalar}"
    try:
        ours = read(document)
    except DefinitionError:
        return
    try:
        theirs = yaml.safe_load(document)
    except ValueError:  # a day beyond the calendar
        return
    if isinstance(theirs, dict) and isinstance(theirs["a"], date):
        assert ours == {"a": scalar}
    elif isinstance(theirs, dict) and isinstance(theirs["a"], float):
        assert isinstance(ours["a"], Decimal)
        assert float(ours["a"]) == theirs["a"]
    else:
        assert ours == theirs
        assert type(ours["a"]) is type(theirs["a"])
