"""kill -9 in the middle of a load that removes, ends or deletes rows, then a rerun: the same table, the same ledger."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest
import yaml
from support.ledger import findings
from support.steps import STEPS, command, environ, haul, run_cold
from support.things import day, place, snapshot

from haulier.task import Task

ROWS = 4_000
KILLS = 4
TRIES = 6 * KILLS

MARKER = {
    "name": "op",
    "logicalType": "string",
    "customProperties": [{"property": "deletes", "value": ["D"]}],
}
SINCE = {"name": "since", "logicalType": "integer", "required": True}
VERSIONS = [{"property": "ordering", "value": "since"}, {"property": "validTo", "value": "valid_to"}]
#: What one calls it -> mode, more columns, more of the table.
WAYS = {
    "replace": ("replace", [], []),
    "scd2": ("scd2", [SINCE, MARKER], VERSIONS),
    "deletions": ("upsert", [MARKER], []),
    "marks": ("upsert", [MARKER], [{"property": "deletedAt", "value": "deleted_at"}]),
}
#: Beside `snapshot`: every column of the table, and what the ledger keeps of deletions.
_TABLE = "SELECT (to_jsonb(t) - '{_haulier_load,_haulier_since}'::text[])::text FROM shop.things t ORDER BY 1"
_TOMBSTONES = (
    "SELECT key::text, delivery_id, row_number, sequence, generation, ordered, ordering"
    " FROM haulier.{} ORDER BY 1, 2, 3"
)


def write_definitions(folder, way):
    mode, columns, custom = WAYS[way]
    properties = [
        {
            "name": "thing",
            "logicalType": "string",
            "required": True,
            "primaryKey": True,
            "primaryKeyPosition": 1,
        },
        {"name": "colour", "logicalType": "string"},
        {"name": "price", "logicalType": "number"},
        *columns,
    ]
    table = {"name": "things", "physicalName": "shop.things", "properties": properties}
    contract = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "things",
        "version": "1.0.0",
        "schema": [table | ({"customProperties": custom} if custom else {})],
    }
    pipeline = {
        "pipeline": "things",
        "contract": "../contracts/things.odcs.yaml",
        "source": {"files": {"path": "{instance}/things_{date:%Y-%m-%d}.csv", "select": "name"}},
        "load": {"mode": mode},
        "instances": {"one": {}},
    }
    for name, document in (("contracts/things.odcs", contract), ("pipelines/things", pipeline)):
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump(document))


def write(here, number):
    """The second day leaves a quarter of the keys out, deletes a quarter, changes one and brings a new one."""
    first = number * ROWS // 4
    lines = []
    for n in range(first, first + ROWS):
        gone = number and n < ROWS // 2
        changed = number and n < ROWS * 3 // 4
        lines.append(
            f"thing-{n},colour {number if changed else 0},{n % 97}.5,{number},{'D' if gone else 'U'}"
        )
    path = here.landing / "one" / f"things_{day(number).start:%Y-%m-%d}.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(["thing,colour,price,since,op", *lines, ""]))
    arrived = day(number).start.timestamp()
    os.utime(path, (arrived, arrived))


def asked(here, step):
    STEPS[step](
        Task(
            step=step,
            verb="run",
            pipeline="things",
            instance="one",
            interval=day(1),
            settings=here.settings,
            generation=None if step == "extract" else 1,
        )
    )


@contextmanager
def before_the_load(tier, folder, definitions):
    """The first day is loaded, the second one is transformed."""
    with place(tier, folder, HAULIER_DEFINITIONS=str(definitions)) as here:
        for number in (0, 1):
            write(here, number)
        haul(here.settings, "things", "one", day(0))
        for step in ("extract", "transform"):
            asked(here, step)
        yield here


def left_behind(here):
    assert findings(here.settings) == []
    left = {name: rows for name, rows in snapshot(here.database).items() if name != "table"}
    left["table"] = here.database.rows(_TABLE)
    for name in ("tombstone", "former_tombstone"):
        left[name] = here.database.rows(_TOMBSTONES.format(name))
    return left


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_random_moments_of_its_load_then_run_again(tier, tmp_path, way):
    definitions = tmp_path / "definitions"
    write_definitions(definitions, way)
    with before_the_load(tier, tmp_path, definitions) as here:
        started = time.monotonic()
        code, result, said = run_cold(here.environment, "load", "things", "one", day(1), "--generation", "1")
        seconds = time.monotonic() - started
        assert code == 0, said
        assert sum(result["counts"][fate] for fate in ("deleted", "removed", "unchanged")) >= ROWS // 4
        expected = left_behind(here)
    moments = random.Random(way)
    killed = 0
    for number in range(TRIES):
        if killed == KILLS:
            break
        with before_the_load(tier, tmp_path, definitions) as here:
            process = subprocess.Popen(
                command("load", "things", "one", day(1), "--generation", "1"),
                env=environ(here.environment),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            time.sleep(moments.uniform(0.3, 0.95) * seconds)
            process.send_signal(signal.SIGKILL)
            _, log = process.communicate()
            if process.returncode == -signal.SIGKILL:
                killed += 1
            else:
                # The machine has become faster than when it was timed.
                seconds *= 0.8
            asked(here, "load")

            assert left_behind(here) == expected, f"moment {number}: {log.decode()}"
    assert killed == KILLS, "too many processes ended before they were killed"
