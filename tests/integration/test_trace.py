"""`haulier trace` of rows that a table no longer has."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support.hauling import KEYED, Sender, replace_struct

from haulier.settings import Settings
from haulier_command.__main__ import main


@pytest.mark.requirement("R-05")
def test_a_row_that_is_gone_is_found_by_a_key_of_any_type(database, tmp_path, capsys):
    environment = {**database.environment, "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange"}
    sender = Sender(settings=Settings.from_env(environment), mode="replace")
    columns = [
        replace_struct(column, key_position=2, required=True) if column.name == "price" else column
        for column in KEYED.columns
    ]
    sender.contract = replace_struct(KEYED, columns=tuple(columns))
    sender.send(
        0, {"a.csv": [{"thing": "x", "price": Decimal("1.50")}, {"thing": "y", "price": Decimal("2")}]}
    )
    sender.send(1, {"b.csv": [{"thing": "y", "price": Decimal("2")}]})

    assert main(["trace", "shop.things", "price=1.5", "--output", "json"], environment) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["key"] == {"price": "1.5", "thing": "x"}
    assert [version["operation"] for version in told["versions"]] == ["remove"]
