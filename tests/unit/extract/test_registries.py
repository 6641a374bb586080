"""What a definition may name is there, and nobody pays for what a definition does not name."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import get_args

import msgspec
import pytest

from haulier.definitions.formats import Format
from haulier.definitions.sources import Source
from haulier.placeholders import SCHEMES
from haulier_extract.formats import FORMATS
from haulier_extract.sources import SOURCES
from haulier_extract.sources.stores import STORES

SECTIONS = {form.section for form in get_args(Format)}


def test_every_format_of_a_definition_has_a_module_and_every_module_a_section() -> None:
    named = {field.name for field in msgspec.structs.fields(Source)}

    assert set(FORMATS) == SECTIONS == named - set(SOURCES) - {"identifiers"}


@pytest.mark.parametrize("section", sorted(FORMATS))
def test_a_format_reads_and_tells_what_is_unfinished(section: str) -> None:
    module = import_module(FORMATS[section])

    assert callable(module.read)
    assert callable(module.unfinished)


def test_every_store_a_path_may_name_has_a_module() -> None:
    assert set(STORES) == {"", *SCHEMES}
    assert all(callable(import_module(name).open_store) for name in STORES.values())


def test_csv_in_a_folder_imports_nothing_of_the_others() -> None:
    code = (
        # Whatever measures this process imports something, too.
        "import sys; before = set(sys.modules); import haulier_extract.step\n"
        "from haulier.definitions.formats import Csv\n"
        "from haulier.definitions.sources import Files\n"
        "from haulier.settings import Settings\n"
        "from haulier_extract.formats import module_of\n"
        "from haulier_extract.sources.stores import open_store\n"
        "import haulier_extract.sources.files\n"
        "module_of(Csv()); open_store(Files(path='*'), Settings(), None)\n"
        "print(*sorted(name for name in set(sys.modules) - before if name.startswith(('haulier.xlsx', 'haulier.parquet', 'haulier.texts',"
        " 'haulier_extract.formats', 'haulier_extract.sources.stores', 'obstore', 'xml', 'urllib.request', 'pyarrow.compute', 'paramiko', 'xlrd'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert {name for name in done.stdout.split() if not name.startswith("haulier_extract.formats.csv")} == {
        "haulier_extract.formats",
        "haulier_extract.formats.text",
        "haulier_extract.sources.stores",
        "haulier_extract.sources.stores.folder",
    }
