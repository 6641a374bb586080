"""The database example resolves; that it runs as its README says is another test's."""

from pathlib import Path

import pytest

from haulier.loading import load_pipeline, resolve

FOLDER = Path(__file__).parents[3] / "examples" / "database"


@pytest.mark.parametrize(("pipeline", "as_it_stands"), [("results", True), ("samples", False)])
def test_its_definitions_resolve(pipeline, as_it_stands):
    instance, _ = resolve(load_pipeline(FOLDER, pipeline), "main")

    assert instance.source.as_it_stands is as_it_stands
