"""The digest of a definition: the same in every process and release, and of its meaning alone."""

import subprocess
import sys
from datetime import date

import msgspec
import pytest
from support.definitions import resolve, writer

from haulier.contracts import Contract
from haulier.definitions import Instance, Transform
from haulier.definitions.sources import Source
from haulier.digests import definition_digest


@pytest.fixture
def write(tmp_path):
    return writer(tmp_path)


def test_the_digest_is_the_same_in_every_process(write):
    folder = write()
    code = (
        "import sys; from pathlib import Path; from haulier import loading; from haulier.digests import definition_digest;"
        "print(definition_digest(*loading.resolve(loading.load_pipeline(Path(sys.argv[1]), 'orders'), 'south')))"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert digests == {definition_digest(*resolve(folder, "south"))}


def test_the_digest_of_a_known_definition_never_changes():
    """Digests are in the ledger for ever: a release that changes this one changes what old runs were made of."""
    instance = Instance(
        pipeline="p",
        instance="i",
        start=date(2026, 1, 5),
        source=msgspec.convert({"files": {"path": "*.csv"}}, Source),
        transform=Transform(columns={"b": "x", "a": "y"}, functions=("m.f",)),
    )
    contract = msgspec.convert(
        {
            "id": "c",
            "version": "1",
            "schema": "s",
            "table": "t",
            "columns": [{"name": "x", "logical_type": "number", "pg_type": "numeric", "minimum": "0.1"}],
        },
        Contract,
    )

    assert (
        definition_digest(instance, contract)
        == "1951009e66f2a38adf21054df54443e0bba2e8bc3b54207034c971242232ba7a"
    )


def test_the_digest_follows_the_meaning_and_not_the_writing(write):
    def digest(pipeline=None, contract=None, instance="north"):
        return definition_digest(*resolve(write(pipeline, contract), instance))

    plain = digest()

    assert digest({"source.csv.encoding": "utf-8", "catchup": True}) == plain  # defaults, written out
    assert digest({"transform.columns": {"When": "placed", "No": "number"}}) == plain  # another order
    assert (
        digest({"instances.north.transform.columns": {"No": "number"}}) == plain
    )  # an override that says the same
    assert digest({"operators": ["north-desk"]}) == plain  # who may start it
    assert (
        digest(contract={"slaProperties": [{"property": "latency", "value": 1}]}) == plain
    )  # when it is late
    assert digest({"source.csv.encoding": "cp1252"}) != plain
    assert digest({"load.reject_threshold": 0.2}) != plain
    assert digest(contract={"schema.0.properties.3.required": True}) != plain
    assert digest(contract={"version": "1.0.1"}) != plain
    assert digest(instance="south") != plain
