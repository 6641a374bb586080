"""The roles that docs/audit.md makes: who hauls cannot rewrite what is recorded, and who reads can write nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
from support.databases import Database
from support.hauling import Sender, settings_of, thing
from support.ledger import findings

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"

pytestmark = pytest.mark.requirement("R-02", "R-11")


@pytest.fixture
def roles(database: Database) -> Iterator[dict[str, Database]]:
    """As the page makes them: hauling, inspecting."""
    (script,) = re.findall(r"```sql\n(CREATE ROLE .+?)```", PAGE.read_text(), re.DOTALL)
    names = {word: f"{word}_{database.name}" for word in re.findall(r"CREATE ROLE (\w+)", script)}
    for word, name in names.items():
        script = re.sub(rf"\b{word}\b", name, script)
    database.rows(script.replace("DATABASE warehouse", f'DATABASE "{database.name}"'))
    with ExitStack() as stack:
        for name in names.values():
            stack.callback(database.rows, f"DROP OWNED BY {name} CASCADE; DROP ROLE {name}")
            database.rows(f"ALTER ROLE {name} PASSWORD 'known'")
        yield {
            word: Database(environment={**database.environment, "PGUSER": name, "PGPASSWORD": "known"})
            for word, name in names.items()
        }


@pytest.fixture
def sender(roles: dict[str, Database], tmp_path: Path) -> Sender:
    """What the role that hauls has hauled."""
    made = Sender(settings=settings_of(roles["hauling"], tmp_path), reject_threshold=1)
    made.send(0, {"a.csv": [thing("x")]}, rejects=[("a.csv", 9, "type"), ("a.csv", 10, "type")])
    made.send(1, {"b.csv": [thing("x", "blue")]}, flags=[("b.csv", 2, "odd")])
    made.replay({"a.csv": [thing("y", _row=9)]})
    return made


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE haulier.history SET before = '{}'",
        "DELETE FROM haulier.history",
        "TRUNCATE haulier.history",
        "ALTER TABLE haulier.history DISABLE TRIGGER append_only",
        "DROP TRIGGER append_only ON haulier.history",
        "DROP TABLE haulier.history",
        "CREATE OR REPLACE FUNCTION haulier.forbid_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
    ],
)
def test_who_hauls_can_neither_change_what_is_recorded_nor_what_guards_it(
    roles: dict[str, Database], statement: str
) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        roles["hauling"].rows(statement)


def test_who_inspects_reads_everything_and_writes_nothing(
    roles: dict[str, Database], sender: Sender, tmp_path: Path
) -> None:
    assert findings(settings_of(roles["inspecting"], tmp_path)) == []
    assert roles["inspecting"].rows("SELECT thing, colour FROM shop.things ORDER BY 1") == [
        ("x", "blue"),
        ("y", "red"),
    ]
    for statement in (
        "INSERT INTO haulier.query_event (reject_id, status, reason, actor) VALUES (2, 'released', 'so', 'me')",
        "UPDATE haulier.run SET status = 'open'",
        "DELETE FROM shop.things",
        "CREATE TABLE shop.mine ()",
        "CREATE SCHEMA mine",
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            roles["inspecting"].rows(statement)
