"""What a contract says of a column decides whether anybody is shown it."""

import shutil
from pathlib import Path

import pytest

from haulier_clinical.exporting.blinding import blinded_columns, contracts_behind
from haulier_clinical.exporting.reading import Relation

CONTRACTS = Path("examples/clinical/sdtm/contracts")


@pytest.mark.requirement("R-17")
@pytest.mark.parametrize("said", ["blinded", "Blinded", "BLINDED", "' blinded '"])
def test_a_column_is_blinded_however_its_contract_writes_the_word(tmp_path, said):
    shutil.copytree(CONTRACTS, tmp_path / "contracts")
    contract = tmp_path / "contracts/lb.odcs.yaml"
    name = "      - name: lbstresn\n"
    text = contract.read_text("utf-8").replace(name, f"{name}        classification: {said}\n")
    contract.write_text(text, "utf-8")
    relation = Relation(
        schema="sdtm",
        name="lb",
        domain="LB",
        types={"lbtestcd": "text", "lbstresn": "numeric"},
        tables=("clinical.lb",),
    )

    assert blinded_columns(contracts_behind(tmp_path, [relation]), relation) == {"lbstresn"}
