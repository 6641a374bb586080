"""Tables beside a definition: read with it, sealed with it, and refused when they are none."""

from __future__ import annotations

import pytest
import yaml
from support.odcs import BASE

from haulier import loading
from haulier.digests import digest_of
from haulier.errors import DefinitionError
from haulier.references import MOST_BYTES, records_of


@pytest.fixture
def folder(tmp_path):
    for name in ("pipelines", "contracts", "references"):
        (tmp_path / name).mkdir()
    (tmp_path / "contracts" / "things.odcs.yaml").write_text(yaml.safe_dump(BASE))
    (tmp_path / "references" / "units.csv").write_text("unit,means\nmg,milligram\n")
    return tmp_path


def resolved(folder, instance="main", **transform):
    document = {
        "pipeline": "things",
        "contract": "../contracts/things.odcs.yaml",
        "source": {"files": {"path": "*.csv"}},
        "transform": {"functions": ["m.f"], "references": {"units": "../references/units.csv"}, **transform},
    }
    if instance != "main":
        document["instances"] = {instance: {"transform": {"references": {"units": "../references/own.csv"}}}}
    (folder / "pipelines" / "things.yaml").write_text(yaml.safe_dump(document))
    return loading.resolve(loading.load_pipeline(folder, "things"), instance)[0]


def test_its_text_is_part_of_the_definition(folder):
    first = resolved(folder)
    (folder / "references" / "units.csv").write_bytes("\ufeffunit,means\r\nmg,milligram\r\nµg,x\r\n".encode())
    second = resolved(folder)

    assert first.references == {"units": "unit,means\nmg,milligram\n"}
    assert second.references == {"units": "unit,means\r\nmg,milligram\r\nµg,x\r\n"}
    assert digest_of(first) != digest_of(second)


def test_an_instance_may_have_its_own(folder):
    (folder / "references" / "own.csv").write_text("unit,means\ng,gram\n")
    assert resolved(folder, "a").references == {"units": "unit,means\ng,gram\n"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty; its first line names its columns"),
        (b"\n\n", "is empty"),
        (b"unit,unit\na,b\n", 'its header names "unit" twice'),
        (b"unit,\na,b\n", "a column of its header has no name"),
        (b"unit,means\na\n", "line 2 has 1 cells, its header 2"),
        (b'unit,means\na,"b\n', "line 2 is no CSV"),
        (
            b'unit,means\n\n"a\n",b\n\xb5g,b\n',
            '"../references/units.csv": line 5, column "unit" holds the byte 0xb5, which is no UTF-8 there; save the file as',
        ),
        ("unit,means\na,b\n".encode("utf-16"), "line 1, cell 1 holds the byte 0xff, which is no UTF-8 there"),
        (b"unit,means\na,b\x00\n", 'line 2, column "means" holds a NUL byte, which no database takes'),
        (b"unit,\x00\na,b\n", "line 1, cell 2 holds a NUL byte"),
        (b"unit,means\na,b,\x00\n", "line 2, cell 3 holds a NUL byte"),
        (b"unit\n" + b"a\n" * (MOST_BYTES // 2), f"a reference at most {MOST_BYTES}"),
    ],
)
def test_what_is_no_table_is_refused_by_its_name(folder, content, says):
    (folder / "references" / "units.csv").write_bytes(content)
    with pytest.raises(DefinitionError) as caught:
        resolved(folder)
    assert "transform.references.units: " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("../references/unit.csv", 'did you mean "../references/units.csv"'),
        ("../../units.csv", "lies outside the definitions folder"),
    ],
)
def test_what_is_not_there_is_named(folder, path, says):
    with pytest.raises(DefinitionError) as caught:
        resolved(folder, references={"units": path})
    assert says in str(caught.value)


def test_without_a_function_nobody_could_read_them(folder):
    with pytest.raises(DefinitionError, match="no function is named that could read them"):
        resolved(folder, functions=[])


def test_cells_are_those_of_csv():
    text = '\nunit,means\n"a\u2028,""b""\n",\r\n\nc,\u2028\n'
    assert records_of(text) == [["unit", "means"], ['a\u2028,"b"\n', ""], ["c", "\u2028"]]
