"""What a user's function is given beside rows: names, parameters and the tables that a definition names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.functions import COLUMNS, HEADER, ROWS, applied, writer
from support.transforming import contract, definition, delivery, text_table, values

from haulier.errors import DefinitionError
from haulier_transform.canonical import Canonical
from haulier_transform.functions import Functions


@pytest.fixture
def write(tmp_path: Path) -> Any:
    return writer(tmp_path)


def test_an_instances_name_and_parameters_reach_a_function(write: Any) -> None:
    functions = write(
        """
        def run(batch):
            return batch.assign(subject=batch.instance + "-" + batch.parameters["prefix"] + batch.rows["subject"])
        """
    )

    canonical = Canonical(definition(parameters={"prefix": "P"}), contract(*COLUMNS), [delivery()], functions)

    assert canonical.batch(text_table(HEADER, ROWS[:1])).canonical["subject"].to_pylist() == ["701-PS0"]


def test_the_tables_that_a_definition_names_reach_a_function_as_text(write: Any, tmp_path: Path) -> None:
    write(
        """
        def run(batch):
            known = batch.references["subjects"].set_index("subject")["weight"]
            weight = batch.rows["subject"].map(known).astype("object").map(Decimal, na_action="ignore")
            return batch.assign(bmi=weight)
        """
    )
    functions = Functions.load(["labs.run"], tmp_path, {"subjects": "subject,weight\nS0,10.5\nS1,\n"})
    assert values(applied(functions), "bmi")[:2] == [(Decimal("10.5"),), (None,)]


def test_a_table_that_the_definition_does_not_name_is_an_error_that_says_so(
    write: Any, tmp_path: Path
) -> None:
    write("def run(batch):\n    return batch.assign(bmi=batch.references['unit'])")
    functions = Functions.load(["labs.run"], tmp_path, {"units": "a\n"})
    with pytest.raises(DefinitionError, match=r"there is no reference 'unit': .* did you mean \"units\""):
        applied(functions)
