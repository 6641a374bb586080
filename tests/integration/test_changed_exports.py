"""A sender whose export changes on a day: read as it was and as it is, in any order, and its rejects replayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.steps import haul
from support.things import Place, day, defined

from haulier.errors import DataError
from haulier.exchange import open_exchange
from haulier.keys import RunKeys
from haulier_command.blinding import BLINDED
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
      - {name: part, logicalType: string, primaryKey: true}
      - {name: price, logicalType: number, physicalType: "numeric(9,2)"}
      - {name: sold, logicalType: date, required: true}
"""
PIPELINE: dict[str, Any] = {
    "pipeline": "prices",
    "contract": "../contracts/prices.odcs.yaml",
    "schedule": "@daily",
    "start": "2026-01-05",
    "source": {"files": {"path": "{instance}_{date:%Y-%m-%d}.csv", "select": "name"}},
    "load": {"reject_threshold": 1},
}
COLOGNE: dict[str, Any] = {
    "source": {"csv": {"encoding": "cp1252", "delimiter": ";"}},
    "transform": {
        "columns": {"Stück": "part", "Preis": "price", "Datum": "sold"},
        "decimal_mark": ",",
        "date_formats": {"sold": ["%d.%m.%Y"]},
    },
}
CHANGES = [
    {
        "since": "2026-01-07",
        "source": {"csv": {"encoding": "utf-16", "delimiter": "\t", "preamble_rows": 1}},
        "transform": {
            "columns": {"Stück": None, "Teil": "part"},
            "decimal_mark": ".",
            "date_formats": {"sold": ["%d-%b-%Y"]},
        },
    }
]


def document(changes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    instance = {**COLOGNE, "transform": {**COLOGNE["transform"], **more}, "changes": changes}
    return {**PIPELINE, "instances": {"cologne": instance}}


@pytest.fixture
def here(tier: Tier, tmp_path: Path) -> Iterator[Place]:
    files = {"contracts/prices.odcs.yaml": CONTRACT, "pipelines/prices.yaml": document(CHANGES)}
    with defined(tier, tmp_path, files) as made:
        yield made


def define(here: Place, changes: list[dict[str, Any]], **more: Any) -> None:
    path = here.settings.definitions / "pipelines" / "prices.yaml"
    path.write_text(yaml.safe_dump(document(changes, **more), allow_unicode=True), encoding="utf-8")


def send(here: Place) -> None:
    for number, encoding, text in (
        (0, "cp1252", "Stück;Preis;Datum\nBüroklammer;1,50;05.01.2026\nÖse;teuer;05.01.2026\n"),
        (1, "cp1252", "Stück;Preis;Datum\nÜbergang;2,50;06.01.2026\n"),
        (2, "utf-16", "Export 2\nTeil\tPreis\tDatum\nÄrmel\t3.50\t07-Jan-2026\nŁuk\t-\t07-Jan-2026\n"),
        (3, "utf-16", "Export 2\nTeil\tPreis\tDatum\nBüroklammer\t4.50\t08-Jan-2026\n"),
    ):
        (here.landing / f"cologne_{day(number).start:%Y-%m-%d}.csv").write_bytes(text.encode(encoding))


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "manifest gone"])
def test_what_is_blinded_stays_so_where_a_change_gives_its_header_another_meaning(
    here: Place, sealed: bool
) -> None:
    contract = yaml.safe_load(CONTRACT)
    arm = {"name": "arm", "logicalType": "string", "classification": "blinded"}
    contract["schema"][0]["properties"].append(arm)
    (here.settings.definitions / "contracts" / "prices.odcs.yaml").write_text(yaml.safe_dump(contract))
    headers = {"Preis": "price", "Gruppe": "arm"}
    change = {"since": "2026-01-06", "transform": {"columns": {"Preis": "arm", "Gruppe": "price"}}}
    define(here, [change], columns={**COLOGNE["transform"]["columns"], **headers})
    exchange, manifests = open_exchange(here.settings), dict[str, bytes]()
    rows = ["Öse;teuer;ACTIVE7;05.01.2026", "Ärmel;PLACEBO9;billig;06.01.2026"]
    for number, row in enumerate(rows):
        name = f"cologne_{day(number).start:%Y-%m-%d}.csv"
        (here.landing / name).write_bytes(f"Stück;Preis;Gruppe;Datum\n{row}\n".encode("cp1252"))
        haul(here.settings, "prices", "cologne", day(number))
        keys = RunKeys(pipeline="prices", instance="cologne", interval=day(number), content="g1")
        manifests[keys.manifest("transform")] = exchange.get(keys.manifest("transform"))
    for key in () if sealed else manifests:
        exchange.delete(key)

    code, document, said = here.say(
        *("rejects", "export", "--pipeline", "prices", "--instance", "cologne"),
        *("--to", str(here.landing / "rejects.csv")),
    )

    assert code == 0, said
    assert {line["original line"] for line in document["lines"]} == {
        f"Öse;teuer;{BLINDED};05.01.2026",
        f"Ärmel;{BLINDED};billig;06.01.2026",
    }
    for key, manifest in manifests.items():
        exchange.create(key, manifest)


def prices(here: Place) -> list[tuple[str, str, str]]:
    return [
        tuple(map(str, row))
        for row in here.database.rows('SELECT part, price, sold FROM shop.prices ORDER BY part COLLATE "C"')
    ]


ALL = [
    ("Büroklammer", "4.50", "2026-01-08"),
    ("Ärmel", "3.50", "2026-01-07"),
    ("Übergang", "2.50", "2026-01-06"),
]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1)], ids=["in order", "backfilled"])
def test_each_day_is_read_as_its_export_was(here: Place, order: tuple[int, ...]) -> None:
    send(here)

    for number in order:
        haul(here.settings, "prices", "cologne", day(number))

    assert prices(here) == ALL
    rejects = here.database.rows("SELECT rule, column_name, verbatim FROM haulier.reject ORDER BY 3 DESC")
    assert [(rule, column, bytes(verbatim)) for rule, column, verbatim in rejects] == [
        ("type", "price", "Öse;teuer;05.01.2026".encode("cp1252")),
        ("type", "price", "Łuk\t-\t07-Jan-2026".encode()),
    ]


def test_rejects_of_both_are_replayed_each_in_its_way(here: Place) -> None:
    send(here)
    for number in range(4):
        haul(here.settings, "prices", "cologne", day(number))
    (change,) = CHANGES
    define(
        here, [{**change, "transform": {**change["transform"], "null_values": ["-"]}}], null_values=["teuer"]
    )

    code, _, said = here.say("replay", "--pipeline", "prices", "--reason", "no price is no price")

    assert code == 0, said
    assert sorted(prices(here)) == sorted(
        [*ALL, ("Öse", "None", "2026-01-05"), ("Łuk", "None", "2026-01-07")]
    )
    assert here.database.rows("SELECT count(DISTINCT definition_digest) FROM haulier.replay") == [(2,)]


@pytest.mark.parametrize("since", ["2026-01-06", "2030-01-01"])
def test_a_replay_minds_a_pivot_of_the_days_it_is_about(here: Place, since: str) -> None:
    send(here)
    for number in range(4):
        haul(here.settings, "prices", "cologne", day(number))
    pivot = {
        "by": ["part"],
        "names_from": "Art",
        "values_from": "Wert",
        "pattern": "(?P<item>.+)",
        "items": {"P": "price", "D": "sold"},
    }
    columns = dict.fromkeys(["Teil", "Preis", "Datum"])
    last = {"since": since, "transform": {"pivot": pivot, "columns": {**columns, "Stück": "part"}}}
    define(here, [last] if since < "2026-01-07" else [*CHANGES, last], null_values=["teuer"])

    code, _, said = here.say("replay", "--pipeline", "prices", "--reason", "no price is no price")

    replays = here.database.rows("SELECT count(*) FROM haulier.replay")
    if since == "2030-01-01":
        assert "takes all rows of the group" not in said
        assert ("Öse", "None", "2026-01-05") in prices(here)
        assert replays == [(2,)]
    else:
        assert code == 2
        assert "prices/cologne makes one row of each group (transform.pivot)" in said
        assert replays == [(0,)]


def test_a_replay_that_one_instance_refuses_is_asked_for_of_none(here: Place) -> None:
    send(here)
    path = here.settings.definitions / "pipelines" / "prices.yaml"
    document = yaml.safe_load(path.read_text())
    first = here.landing / f"aachen_{day(0).start:%Y-%m-%d}.csv"
    first.write_bytes(
        (here.landing / f"cologne_{day(0).start:%Y-%m-%d}.csv").read_bytes().replace(b"1", b"2")
    )
    document["instances"] = {"aachen": COLOGNE, **document["instances"]}
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    haul(here.settings, "prices", "aachen", day(0))
    haul(here.settings, "prices", "cologne", day(2))
    pivot = {
        "by": ["part"],
        "names_from": "a",
        "values_from": "b",
        "pattern": "(?P<item>.+)",
        "items": {"P": "price"},
    }
    document["instances"]["cologne"]["changes"][0]["transform"] = {
        "pivot": pivot,
        "columns": {"Stück": "part"},
    }
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")

    code, _, said = here.say("replay", "--pipeline", "prices", "--reason", "try again")

    assert code == 2
    assert "prices/cologne makes one row of each group (transform.pivot)" in said
    assert here.database.rows("SELECT count(*) FROM haulier.replay") == [(0,)]


def test_a_file_in_the_other_way_is_not_guessed_at(here: Place) -> None:
    send(here)
    early, late = (here.landing / f"cologne_{day(number).start:%Y-%m-%d}.csv" for number in (1, 2))
    early.write_bytes(late.read_bytes())

    code, _, said = here.say("run", "--pipeline", "prices", "--from", "2026-01-06", "--to", "2026-01-07")

    assert code == 65
    assert "begins with the byte order mark of utf-16, but the definition says encoding 'cp1252'" in said
    assert here.database.rows("SELECT to_regclass('shop.prices')") == [(None,)]


@pytest.mark.parametrize(("before", "after"), [("utf-16", "utf-8"), ("utf-8", "utf-16")])
def test_a_look_back_behind_a_change_passes_over_what_was_hauled(
    here: Place, before: str, after: str
) -> None:
    change = {"since": "2026-01-06", "source": {"csv": {"encoding": after}}}
    files = {**PIPELINE["source"]["files"], "look_back_days": 1}
    cologne = {"source": {"files": files, "csv": {"encoding": before}}, "changes": [change]}
    path = here.settings.definitions / "pipelines" / "prices.yaml"
    path.write_text(yaml.safe_dump({**PIPELINE, "instances": {"cologne": cologne}}), encoding="utf-8")
    old, new = (here.landing / f"cologne_{day(number).start:%Y-%m-%d}.csv" for number in (0, 1))
    old.write_bytes("part,price,sold\nÖse,1.50,2026-01-05\n".encode(before))
    new.write_bytes("part,price,sold\nŁuk,2.50,2026-01-06\n".encode(after))

    for number in (0, 1):
        outcomes = haul(here.settings, "prices", "cologne", day(number))
        assert [note for one in outcomes.values() for note in one.notes if " waits: " in note] == []

    assert prices(here) == [("Öse", "1.50", "2026-01-05"), ("Łuk", "2.50", "2026-01-06")]


def test_a_look_back_minds_what_was_not_hauled(here: Place) -> None:
    send(here)
    define(here, [{**CHANGES[0], "source": {"csv": {"encoding": "utf-8"}, "files": {"look_back_days": 1}}}])
    (here.landing / f"cologne_{day(1).start:%Y-%m-%d}.csv").write_bytes("Teil\n".encode("utf-16"))

    with pytest.raises(DataError, match="begins with the byte order mark of utf-16"):
        haul(here.settings, "prices", "cologne", day(2))


@pytest.fixture
def looks_back(here: Place) -> Place:
    """UTF-16 until the second day, UTF-8 from then on; each run looks back a day."""
    change = {"since": "2026-01-06", "source": {"csv": {"encoding": "utf-8"}}}
    files = {"path": "{date:%Y-%m-%d}/*.csv", "select": "name", "look_back_days": 1}
    cologne = {"source": {"files": files, "csv": {"encoding": "utf-16"}}, "changes": [change]}
    path = here.settings.definitions / "pipelines" / "prices.yaml"
    path.write_text(yaml.safe_dump({**PIPELINE, "instances": {"cologne": cologne}}), encoding="utf-8")
    write(here, 0, "a.csv", "part,price,sold\nÖse,1.50,2026-01-05\n", "utf-16")
    haul(here.settings, "prices", "cologne", day(0))
    write(here, 1, "b.csv", "part,price,sold\nŁuk,2.50,2026-01-06\n", "utf-8")
    return here


def write(here: Place, number: int, name: str, text: str, encoding: str) -> None:
    path = here.landing / f"{day(number).start:%Y-%m-%d}" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode(encoding))


@pytest.mark.parametrize("name", ["a.csv", "copy.csv"], ids=["sent again", "a copy"])
def test_a_file_of_which_nothing_would_be_hauled_need_not_be_read(looks_back: Place, name: str) -> None:
    write(looks_back, 1, name, "part,price,sold\nÖse,1.50,2026-01-05\n", "utf-16")

    haul(looks_back.settings, "prices", "cologne", day(1))

    assert prices(looks_back) == [("Öse", "1.50", "2026-01-05"), ("Łuk", "2.50", "2026-01-06")]


def test_a_late_file_of_the_old_export_is_read_by_the_run_of_its_own_day(looks_back: Place) -> None:
    write(looks_back, 0, "late.csv", "part,price,sold\nÄrmel,3.50,2026-01-05\n", "utf-16")

    with pytest.raises(DataError, match=r"haul again the run of 2026-01-05 00:00Z, which reads it as it was"):
        haul(looks_back.settings, "prices", "cologne", day(1))
    for number in (0, 1):
        haul(looks_back.settings, "prices", "cologne", day(number))

    assert [part for part, *_ in prices(looks_back)] == ["Ärmel", "Öse", "Łuk"]


def test_check_looks_at_the_days_after_a_change(here: Place) -> None:
    send(here)
    wrong = {**CHANGES[0], "transform": {"columns": {"Teil": "prt"}}}
    define(here, [wrong])

    code, document, _ = here.say("check", "--pipeline", "prices")

    assert code == 2
    assert "instances.cologne.changes[0].transform.columns.Teil" in str(document)


@pytest.mark.parametrize("mended", [{}, {"time_zone": None}], ids=["both", "the last"])
def test_check_names_what_is_wrong_with_each_change_once(here: Place, mended: dict[str, None]) -> None:
    send(here)
    wrong = {**CHANGES[0], "transform": {"columns": {"Teil": "prt"}}}
    zone = {"since": "2026-01-09", "transform": {"columns": {"Teil": "part"}, "time_zone": "Europe/Berln"}}
    day_of = {"since": "2026-01-10", "transform": {"date_formats": {"sold": []}, **mended}}
    define(here, [wrong, zone, day_of])

    code, document, _ = here.say("check", "--pipeline", "prices")

    assert code == 2
    said = [line for one in document["checked"] if not one["ok"] for line in one["text"].splitlines()]
    assert sorted(line.partition("instances.cologne.")[2].partition(" ")[0].strip(":") for line in said) == [
        "changes[0].transform.columns.Teil",
        "changes[1].transform.time_zone",
        "changes[2].transform.date_formats.sold",
    ]
