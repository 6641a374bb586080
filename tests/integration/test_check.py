"""`haulier_extract check` says of every source whether it is reached and may be read, and shows no secret."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import pytest
from obstore.store import S3Store
from support.api import Api, served
from support.databases import Database
from support.https import Server
from support.odcs import BASE
from support.sftp import PASSWORD, READER, SftpServer
from support.steps import environ

from haulier_command.embedded import Tier

SECRET = "hunter2-is-nobodys-business"


@dataclass(kw_only=True)
class Case:
    """A source that is well; and what makes it unwell, with what check then says."""

    source: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    spoil: Callable[[Case], None]
    said: str
    #: The exit code that the finding alone would have.
    finding: int = 2
    secrets: tuple[str, ...] = ()


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = globals()[f"_{request.param}"](request, tmp_path)
    if isinstance(made, Case):
        yield made
    else:
        yield from made


def _folder(request: pytest.FixtureRequest, folder: Path) -> Case:
    (folder / "a.csv").write_text("thing\n1\n")

    def spoil(_: Case) -> None:
        (folder / "a.csv").unlink()
        (folder / "a.csv").symlink_to(folder / "a.csv")

    return Case(
        source={"files": {"path": "*.csv"}},
        spoil=spoil,
        said="a.csv cannot be read: Too many levels",
        # Another look may find it mended; what the others say is for a person to mend.
        finding=75,
    )


def _s3(request: pytest.FixtureRequest, folder: Path) -> Case:
    tier: Tier = request.getfixturevalue("tier")
    aws = {name: value for name, value in tier.environment.items() if name.startswith("AWS_")}
    prefix = uuid4().hex
    store = S3Store(
        "haulier",
        endpoint=aws["AWS_ENDPOINT_URL"],
        access_key_id=aws["AWS_ACCESS_KEY_ID"],
        secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region=aws["AWS_REGION"],
        client_options={"allow_http": True},
    )
    obstore.put(store, f"{prefix}/a.csv", b"thing\n1\n")

    def spoil(made: Case) -> None:
        made.environment["HAULIER_SOURCE_S3_SECRET_ACCESS_KEY"] = SECRET

    return Case(
        source={"files": {"path": f"s3://haulier/{prefix}/*.csv"}},
        environment={name.replace("AWS_", "HAULIER_SOURCE_S3_"): value for name, value in aws.items()},
        spoil=spoil,
        said="HAULIER_SOURCE_S3_",
        secrets=(aws["AWS_SECRET_ACCESS_KEY"], SECRET),
    )


def _sftp(request: pytest.FixtureRequest, folder: Path) -> Case:
    """A user who may list and not read."""
    sftp: SftpServer = request.getfixturevalue("sftp")
    inside = f"/read/{uuid4().hex}"
    sftp.put(f"{inside}/a.csv", b"thing\n1\n")

    def spoil(made: Case) -> None:
        sftp.put("/closed/a.csv", b"thing\n1\n")
        made.source["files"]["path"] = f"sftp://{sftp.address}/closed/*.csv"

    return Case(
        source={"files": {"path": f"sftp://{sftp.address}{inside}/*.csv"}},
        environment={**sftp.environment, "HAULIER_SOURCE_SFTP_USER": READER},
        spoil=spoil,
        said="may not be read by reader (HAULIER_SOURCE_SFTP_USER)",
        secrets=(PASSWORD,),
    )


def _https(request: pytest.FixtureRequest, folder: Path) -> Iterator[Case]:
    server = Server(folder)
    server.put("/a.csv", Last_Modified="Mon, 05 Jan 2026 12:00:00 GMT")

    def spoil(_: Case) -> None:
        server.put("/a.csv", status=403)

    try:
        yield Case(
            source={"files": {"path": f"{server.url}/a.csv"}},
            environment={"SSL_CERT_FILE": str(server.certificate)},
            spoil=spoil,
            said="its server answered 403; refused it",
        )
    finally:
        server.close()


def _http(request: pytest.FixtureRequest, folder: Path) -> Iterator[Case]:
    with served(Api(rows=[{"thing": "1"}], authorization=f"Bearer {SECRET}")) as api:

        def spoil(made: Case) -> None:
            made.environment["HAULIER_SECRET_LAB"] = f"{SECRET}-no-longer"

        yield Case(
            source={"http": {"url": f"{api.url}/whole", "auth": {"bearer": "LAB"}}},
            environment={"HAULIER_SECRET_LAB": SECRET},
            spoil=spoil,
            said="it does not let us in; see source.http.auth and the secret it names",
            secrets=(SECRET,),
        )


@pytest.mark.parametrize("case", ["folder", "s3", "sftp", "https", "http"], indirect=True)
@pytest.mark.requirement("R-38")
def test_a_source_is_well_or_named_with_what_is_wrong(case: Case, database: Database, tmp_path: Path) -> None:
    assert asked(case, database, tmp_path) == (0, [])

    case.spoil(case)

    code, findings = asked(case, database, tmp_path)
    assert code == case.finding
    ((subject, text, found_code),) = findings
    assert (subject, found_code) == ("things/main", case.finding)
    assert case.said in text


def asked(case: Case, database: Database, folder: Path) -> tuple[int, list[tuple[str, str, int]]]:
    """(exit code, findings); that no secret shows is judged here."""
    pipeline = {"pipeline": "things", "contract": "../contracts/things.yaml", "source": case.source}
    for place, document in (("pipelines", pipeline), ("contracts", BASE)):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / "things.yaml").write_text(json.dumps(document))
    done = subprocess.run(
        [sys.executable, "-m", "haulier_extract", "check"],
        env=environ(
            {
                **database.environment,
                **case.environment,
                "HAULIER_DEFINITIONS": str(folder),
                "HAULIER_SOURCE_ROOT": str(folder),
                "HAULIER_EXCHANGE": f"file://{folder}/exchange",
                "HAULIER_LOG_LEVEL": "debug",
            }
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    for secret in case.secrets:
        assert secret not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)["findings"]
