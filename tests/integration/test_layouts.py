"""One table from files of three layouts, by definition alone: through all steps, in batches of two rows."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.steps import haul
from support.things import Place, day, defined

from haulier_command.embedded import Tier

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: prices
version: 1.0.0
status: active
schema:
  - name: prices
    physicalName: shop.prices
    properties:
      - {name: shop, logicalType: string, primaryKey: true, primaryKeyPosition: 1}
      - {name: sheet, logicalType: string, primaryKey: true, primaryKeyPosition: 2}
      - {name: part, logicalType: string, primaryKey: true, primaryKeyPosition: 3}
      - {name: price, logicalType: number, physicalType: "numeric(9,2)", required: true}
      - {name: unit, logicalType: string, logicalTypeOptions: {maxLength: 4}}
      - {name: kilos, logicalType: number, physicalType: "numeric(9,3)", transformLogic: by the unit}
"""
FUNCTIONS = """
from decimal import Decimal

import pandas as pd
import pyarrow as pa


def kilos(batch):
    units = batch.references["units"].set_index("unit")["kilos"]
    known = batch.rows["unit"].map(units)
    batch = batch.flag(known.isna(), rule="unit-unknown", column="unit", message="no such unit")
    found = [Decimal(text) if isinstance(text, str) else None for text in known]
    return batch.assign(kilos=pd.Series(pd.array(found, dtype=pd.ArrowDtype(pa.decimal128(9, 3))), index=batch.rows.index))
"""
COMMON: dict[str, Any] = {
    "contract": "../contracts/prices.odcs.yaml",
    "schedule": "@daily",
    "start": "2026-01-05",
    "load": {"reject_threshold": 1},
}
SHARED = {"functions": ["shop.kilos"], "references": {"units": "../references/units.csv"}}
WIDE = {
    "columns": {"sheet": "sheet"},
    "constants": {"shop": "{instance}"},
    "unpivot": {
        "columns": {"bolt": "BOLT", "nut": "NUT"},
        "names_to": "part",
        "values_to": "price",
        "beside": {"unit": {"BOLT": "bolt_unit"}},
        "constants": {"unit": {"NUT": "g"}},
    },
}
ITEMS = {
    "constants": {"shop": "{city}"},
    "pivot": {
        "by": ["sheet"],
        "names_from": "item",
        "values_from": "value",
        "pattern": "(?P<part>[A-Z]+)_(?P<item>.+)",
        "items": {"price": "price", "unit": "unit"},
        "ignore": ["note"],
    },
}


@pytest.fixture
def here(tier: Tier, tmp_path: Path) -> Iterator[Place]:
    files: dict[str, Any] = {
        "contracts/prices.odcs.yaml": CONTRACT,
        "functions/shop.py": FUNCTIONS,
        "references/units.csv": "unit,kilos\nkg,1\ng,0.001\n",
    }
    for name, transform, instances in (
        ("wide", WIDE, {"berlin": {}}),
        ("items", ITEMS, {"paris": {"parameters": {"city": "Paris"}}}),
    ):
        files[f"pipelines/{name}.yaml"] = {
            **COMMON,
            "pipeline": name,
            "source": {
                "files": {"path": name + "_{date:%Y-%m-%d}.csv", "select": "name"},
                "csv": {"header_rows": 2 if name == "items" else 1},
            },
            "transform": {**transform, **SHARED},
            "instances": instances,
        }
    with defined(tier, tmp_path, files, HAULIER_BATCH_ROWS="2") as made:
        yield made


def send(here: Place, name: str, *lines: str) -> None:
    (here.landing / f"{name}_2026-01-05.csv").write_text("\n".join([*lines, ""]))


def prices(here: Place) -> list[tuple[Any, ...]]:
    return here.database.rows(
        "SELECT shop, sheet, part, price, unit, kilos, _haulier_row FROM shop.prices ORDER BY 1, 2, 3"
    )


def accounts(here: Place) -> list[tuple[Any, ...]]:
    return here.database.rows(
        "SELECT s.read, s.accepted, s.filtered, s.rejected, l.produced, l.inserted, l.rejected FROM haulier.source_account s"
        " JOIN haulier.load l USING (load_id) ORDER BY load_id"
    )


def rejects(here: Place) -> list[tuple[Any, ...]]:
    found = here.database.rows("SELECT row_number, output, rule, verbatim FROM haulier.reject ORDER BY 1, 2")
    return [(*row[:3], bytes(row[3]).decode()) for row in found]


def test_a_wide_file_with_what_goes_along_with_each_cell(here: Place) -> None:
    send(here, "wide", "sheet,bolt,bolt_unit,nut", "1,5,kg,7", "2,6,pounds,", "3,,kg,8", "4,9,lb,cheap")

    haul(here.settings, "wide", "berlin", day(0))

    assert prices(here) == [
        ("berlin", "1", "BOLT", Decimal(5), "kg", Decimal(1), 2),
        ("berlin", "1", "NUT", Decimal(7), "g", Decimal("0.001"), 2),
        ("berlin", "3", "NUT", Decimal(8), "g", Decimal("0.001"), 4),
        ("berlin", "4", "BOLT", Decimal(9), "lb", None, 5),
    ]
    assert rejects(here) == [(3, 0, "max_length", "2,6,pounds,"), (5, 1, "type", "4,9,lb,cheap")]
    assert here.database.rows("SELECT row_number, output, rule FROM haulier.flag") == [(5, 0, "unit-unknown")]
    assert accounts(here) == [(4, 4, 0, 0, 6, 4, 2)]


def test_an_item_export_whose_groups_lie_across_batches(here: Place) -> None:
    send(
        here,
        "items",
        "sheet,item,value",
        "Sheet,Item code,Item value",
        *(f"{n},BOLT_unit,kg" for n in range(5)),
        *(f"{n},BOLT_price,{n + 1}" for n in range(4)),
        "4,BOLT_note,none left",
        "5,NUT_price,dear",
        "5,NUT_unit,g",
        "6,NUT_price,1",
        "6,NUT_price,2",
        "6,NUT_colour,red",
    )

    haul(here.settings, "items", "paris", day(0))

    assert prices(here) == [
        ("Paris", str(n), "BOLT", Decimal(n + 1), "kg", Decimal(1), 8 + n) for n in range(4)
    ]
    assert rejects(here) == [
        (7, 0, "required", "4,BOLT_unit,kg"),
        (13, 0, "type", "5,NUT_price,dear"),
        (15, None, "item-twice", "6,NUT_price,1"),
        (16, None, "item-twice", "6,NUT_price,2"),
        (17, None, "unknown-item", "6,NUT_colour,red"),
    ]
    assert accounts(here) == [(15, 11, 1, 3, 6, 4, 2)]


@pytest.mark.requirement("R-26")
def test_rejects_of_groups_are_not_replayed_and_a_changed_reference_is_a_changed_definition(
    here: Place,
) -> None:
    send(here, "items", "sheet,item,value", "-,-,-", "1,BOLT_price,5", "1,BOLT_unit,lb", "2,BOLT_unit,kg")
    haul(here.settings, "items", "paris", day(0))

    code, told, said = here.say("replay", "--pipeline", "items", "--reason", "again")
    assert code == 2, told
    assert "takes all rows of the group" in said
    assert "run --pipeline items --instance paris … --reprocess REASON" in " ".join(said.split())

    (here.settings.definitions / "references" / "units.csv").write_text("unit,kilos\nlb,0.454\n")
    haul(here.settings, "items", "paris", day(0), reprocess="the unit is known now")

    assert prices(here) == [("Paris", "1", "BOLT", Decimal(5), "lb", Decimal("0.454"), 3)]
    digests = here.database.rows("SELECT DISTINCT definition_digest FROM haulier.generation")
    assert len(digests) == 2
