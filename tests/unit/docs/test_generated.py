"""The reference pages say what the code says, all of it."""

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from haulier import errors, schemas
from haulier.definitions import Pipeline
from haulier.errors import EXIT_CODES, HaulierError
from haulier.settings import VARIABLES, Settings

_SPEC = importlib.util.spec_from_file_location("docs_generate", Path("docs/generate.py"))
generate = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(generate)

PAGES = generate.pages()
CODE = [
    path
    for folder in ("shared", "services", "orchestration")
    for path in sorted(Path(folder).rglob("*"))
    if path.suffix in (".py", ".sh", ".yaml", ".yml", ".toml") or path.name == "Dockerfile"
]
NAMES = {variable.name for variable in VARIABLES}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_code_says(name):
    assert (Path("docs") / name).read_text() == PAGES[name], "run: .venv/bin/python docs/generate.py"


def test_check_names_a_stale_page_and_fails(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(generate.stale, "__defaults__", (tmp_path,))
    generate.write(tmp_path)
    assert generate.main(["--check"], said.append) == 0

    (tmp_path / "exit-codes.md").write_text("old")
    (tmp_path / "schemas/pipeline.schema.json").unlink()

    assert generate.main(["--check"], said.append) == 1
    assert said == [
        "docs/exit-codes.md is stale; run: .venv/bin/python docs/generate.py\n",
        "docs/schemas/pipeline.schema.json is stale; run: .venv/bin/python docs/generate.py\n",
    ]
    assert (tmp_path / "exit-codes.md").read_text() == "old"


def rows(page):
    """First cell of every row of every table."""
    return re.findall(r"^\| (?!---)([^|]+) \|", page, re.MULTILINE)


def test_every_key_of_a_pipeline_is_documented():
    page = PAGES["definitions.md"]
    documented = set(rows(page))
    structs = schemas._structs(Pipeline)

    assert len(structs) == len(generate._SECTIONS)
    for struct in structs:
        for field in msgspec.structs.fields(struct):
            assert f"`{field.name}`" in documented, f"{struct.__name__}.{field.name}"
            assert schemas.comments(struct)[field.name] in page


def test_every_field_of_a_contract_that_haulier_acts_on_is_documented():
    page = PAGES["definitions.md"]

    for struct, _ in generate._CONTRACT_PARTS:
        for text in schemas.comments(struct).values():
            assert text in page


def test_every_part_of_a_contract_that_haulier_acts_on_has_a_section():
    """A comment above a field means Haulier acts on it; its struct must then be among the sections."""
    acted_on = {struct for struct in schemas._structs(generate.standard.Document) if schemas.comments(struct)}

    assert acted_on == {struct for struct, _ in generate._CONTRACT_PARTS}


def test_links_lead_to_sections():
    page = PAGES["definitions.md"]
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", page, re.M)
    }

    targets = re.findall(r"\]\(#([^)]+)\)", page)

    assert targets
    assert set(targets) <= anchors


def test_links_lead_to_files():
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)#:]+)\)", page):
            assert (Path("docs") / name).parent.joinpath(target).exists(), target


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda one: one.name)
def test_every_variable_is_documented(variable):
    line = next(
        line for line in PAGES["environment.md"].splitlines() if line.startswith(f"| `{variable.name}`")
    )

    assert variable.meaning in line
    assert variable.default in line
    assert (f"`{variable.name}_FILE`" in line) is variable.secret


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda one: one.name)
def test_every_variable_is_read(variable):
    assert _changed(variable.name)


@pytest.mark.parametrize("variable", [one for one in VARIABLES if one.secret], ids=lambda one: one.name)
def test_every_secret_is_read_from_a_file_too(variable, tmp_path):
    (tmp_path / "secret").write_text("s3cret\n")

    found = Settings.from_env({f"{variable.name}_FILE": str(tmp_path / "secret")})

    assert found == Settings.from_env({variable.name: "s3cret"})


def test_every_setting_comes_from_a_documented_variable():
    reached = {name for variable in VARIABLES for name in _changed(variable.name)}

    assert reached == {field.name for field in fields(Settings)}


def _changed(variable):
    """The settings that another value of the variable changes."""
    before = Settings.from_env({})
    for value in ("debug", "33", "file://elsewhere", "true"):
        try:
            after = Settings.from_env({variable: value})
        except errors.DefinitionError:
            continue
        changed = {
            one.name for one in fields(Settings) if getattr(after, one.name) != getattr(before, one.name)
        }
        if changed:
            return changed
    return set()


def test_the_documented_defaults_are_the_settings_own():
    assert Settings.from_env({"USER": "unknown"}) == Settings(actor="unknown")


def test_every_variable_the_code_names_is_documented():
    documented = PAGES["environment.md"]
    named = {
        (name.removesuffix("_FILE") if name != "HAULIER_RESULT_FILE" else name, path)
        for path in CODE
        for name in re.findall(
            r"(?<![A-Z_])HAULIER_[A-Z0-9]+(?:_[A-Z0-9]+)*(?![A-Z0-9_*{])", path.read_text()
        )
    }

    assert NAMES & {name for name, _ in named}
    assert [f"{name} in {path}" for name, path in sorted(named) if f"`{name}`" not in documented] == []


def test_every_exit_code_is_documented():
    assert [int(cell) for cell in rows(PAGES["exit-codes.md"]) if cell.isdigit()] == list(EXIT_CODES)


def test_every_error_has_a_documented_exit_code():
    def classes(base):
        return [base, *(one for child in base.__subclasses__() for one in classes(child))]

    codes = {error.exit_code for error in classes(HaulierError) if hasattr(error, "exit_code")}

    assert codes <= set(EXIT_CODES)
    assert codes == set(EXIT_CODES) - {0, 1}
