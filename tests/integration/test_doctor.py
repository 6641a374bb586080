"""`haulier doctor` over real servers: what is well, and each thing that can be wrong, wrong for real."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.databases import Database, administer, environment_of
from support.proxy import Call, HttpProxy

from haulier.settings import Settings
from haulier_command.doctor import Looking, postgres
from haulier_command.doctor.signing import signed
from haulier_command.embedded import Tier

CLINICAL = Path(__file__).parents[2] / "examples" / "clinical"


@pytest.fixture
def told(database: Database, exchange_environment: Mapping[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment in which all is well."""
    (tmp_path / "landing").mkdir()
    return {
        **os.environ,
        **database.environment,
        **exchange_environment,
        "HAULIER_HOME": str(tmp_path / "home"),
        "HAULIER_DEFINITIONS": str(CLINICAL),
        "HAULIER_SOURCE_ROOT": str(tmp_path / "landing"),
    }


def looks(told: Mapping[str, str], code: int) -> dict[tuple[str, str], dict[str, Any]]:
    """(at, what) -> what was found, by a cold process."""
    command = [sys.executable, "-m", "haulier_command", "doctor", "--output", "json"]
    done = subprocess.run(command, env=dict(told), capture_output=True, text=True, check=False)
    assert done.returncode == code, (done.stdout, done.stderr)
    document = json.loads(done.stdout)
    assert document["exit_code"] == code
    return {(one["at"], one["what"]): one for one in document["looks"]}


def failed(found: Mapping[tuple[str, str], Mapping[str, Any]]) -> set[tuple[str, str]]:
    return {name for name, one in found.items() if one["state"] == "fail"}


@pytest.mark.requirement("R-38")
def test_all_is_well_on_real_servers(told: dict[str, str]) -> None:
    found = looks(told, 0)

    assert failed(found) == set()
    assert found["exchange", "one winner"]["found"].startswith("one of 16 simultaneous commits")
    assert "is refused" in found["exchange", "checksums"]["found"]
    assert found["PostgreSQL", "settings"]["state"] == "warn", "the test's server is careless of a power cut"
    assert found["PostgreSQL", "settings"]["found"] == "fsync, full_page_writes off"
    assert "6 instances" in found["pipelines", "definitions"]["found"]


def test_the_archive_is_looked_at_where_there_is_one(told: dict[str, str], tmp_path: Path) -> None:
    found = looks({**told, "HAULIER_ARCHIVE": f"file://{tmp_path}/cold"}, 0)
    assert found["archive", "one winner"]["state"] == "ok"

    (tmp_path / "taken").write_text("no folder")
    wrong = looks({**told, "HAULIER_ARCHIVE": f"file://{tmp_path}/taken"}, 2)
    assert failed(wrong) == {("archive", "reached")}
    assert "HAULIER_ARCHIVE" in wrong["archive", "reached"]["advice"]


@pytest.mark.requirement("R-38")
def test_a_wrong_password_is_a_setting_and_a_closed_port_is_not(told: dict[str, str]) -> None:
    wrong = looks({**told, "PGPASSWORD": "wrong"}, 2)
    assert ("PostgreSQL", "reached") in failed(wrong)
    assert "authentication failed" in wrong["PostgreSQL", "reached"]["found"]
    assert "wrong" not in wrong["PostgreSQL", "reached"]["found"]

    away = looks({**told, "PGPORT": "1", "HAULIER_EXCHANGE": "file:///tmp"}, 75)
    assert away["PostgreSQL", "reached"]["exit_code"] == 75


def test_a_ledger_that_is_not_migrated_is_named_with_the_way_out(told: dict[str, str], tier: Tier) -> None:
    administer(tier, "CREATE DATABASE {}", "empty_one")
    try:
        found = looks({**told, **environment_of(tier, "empty_one")}, 2)
    finally:
        administer(tier, "DROP DATABASE {} WITH (FORCE)", "empty_one")

    assert failed(found) == {("PostgreSQL", "ledger")}
    assert found["PostgreSQL", "ledger"]["advice"].startswith("haulier migrate")


@pytest.mark.requirement("R-38")
def test_a_role_that_may_not_write_the_ledger_is_told_what_it_lacks(
    told: dict[str, str], database: Database
) -> None:
    role = f"reader_{database.name[-12:]}"
    database.rows(
        f"CREATE ROLE {role} LOGIN PASSWORD 'reads'; GRANT USAGE ON SCHEMA haulier, haulier_stage TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA haulier TO {role}"
    )
    try:
        found = looks({**told, "PGUSER": role, "PGPASSWORD": "reads"}, 2)
    finally:
        database.rows(f"DROP OWNED BY {role}; DROP ROLE {role}")

    assert ("PostgreSQL", "ledger") in failed(found)
    assert f"TO {role}" in found["PostgreSQL", "ledger"]["advice"]
    assert found["PostgreSQL", "new schemas"]["state"] == "warn"
    assert found["PostgreSQL", "shards"]["state"] == "warn"
    assert found["PostgreSQL", "ending attempts"]["found"].startswith(f"those of {role}")


@pytest.fixture
def careless_store(told: dict[str, str]) -> Iterator[dict[str, str]]:
    """The same store, but for its conditions: it has never heard of If-None-Match."""

    async def unconditional(call: Call) -> None:
        """The same PutObject without its condition, signed anew because the signature covers that, too."""
        body = call.raw.partition(b"\r\n\r\n")[2]
        key = call.path[call.path.index("_doctor/") :]
        asked = signed(Settings.from_env(environ), key, body, sha256=hashlib.sha256(body).digest())
        headers = {**asked.headers, "Content-Length": str(len(body)), "Connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await call.answer(await call.forward(f"PUT {asked.selector} HTTP/1.1\r\n{head}\r\n".encode() + body))

    upstream = urlsplit(told["AWS_ENDPOINT_URL"])
    with HttpProxy(upstream.port or 80, upstream.hostname or "127.0.0.1") as proxy:
        environ = {**told, "AWS_ENDPOINT_URL": proxy.url}
        proxy.script(unconditional, method="PUT", path="_doctor/race", times=None)
        yield environ


@pytest.mark.requirement("R-38")
def test_a_store_without_conditional_put_fails_the_race(careless_store: dict[str, str]) -> None:
    found = looks(careless_store, 2)

    assert ("exchange", "one winner") in failed(found)
    assert found["exchange", "one winner"]["found"].startswith("16 of 16 simultaneous commits won")


def test_a_wrong_key_and_a_store_that_is_away_end_differently(told: dict[str, str]) -> None:
    assert ("exchange", "reached") in failed(looks({**told, "AWS_SECRET_ACCESS_KEY": "wrong"}, 2))

    away = {**told, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "HAULIER_S3_TIMEOUT_SECONDS": "1"}
    assert looks(away, 75)["exchange", "reached"]["exit_code"] == 75


def test_secret_files_are_looked_at_and_never_named(told: dict[str, str], tmp_path: Path) -> None:
    open_one = tmp_path / "open"
    open_one.write_text("s3cret")
    open_one.chmod(0o644)
    tight = tmp_path / "tight"
    tight.write_text(told["PGPASSWORD"])
    tight.chmod(0o600)
    with_files = {**told, "HAULIER_SECRET_LIMS_FILE": str(open_one), "PGPASSWORD_FILE": str(tight)}

    found = looks(with_files, 0)

    assert found["this machine", "HAULIER_SECRET_LIMS_FILE"]["state"] == "warn"
    assert "PGPASSWORD_FILE" in found["this machine", "secrets"]["found"]
    assert "s3cret" not in json.dumps(list(found.values()))
    assert str(open_one) not in json.dumps(list(found.values()))


def test_a_setting_that_means_nothing_leaves_only_this_machine_to_look_at(told: dict[str, str]) -> None:
    found = looks({**told, "HAULIER_BATCH_ROWS": "many"}, 2)

    assert failed(found) == {("settings", "environment")}
    assert {at for at, _ in found} == {"settings", "this machine"}


@pytest.mark.requirement("R-38")
def test_a_definition_that_is_wrong_is_named(told: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(CLINICAL, tmp_path / "mine")
    definition = tmp_path / "mine" / "pipelines" / "labs.yaml"
    definition.write_text(definition.read_text().replace("schedule:", "shedule:"))

    found = looks({**told, "HAULIER_DEFINITIONS": str(tmp_path / "mine")}, 2)

    assert any(at == "pipelines" and "shedule" in found[at, what]["found"] for at, what in failed(found))


@pytest.mark.parametrize(
    ("ahead", "took", "state"), [(0.5, 0, "ok"), (-9, 0, "warn"), (9, 20, "ok"), (90, 1, "warn")]
)
def test_clocks_may_differ_by_the_time_an_answer_takes(ahead: float, took: float, state: str) -> None:
    assert postgres.clock(Looking("x"), ahead, took).state == state
