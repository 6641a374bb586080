"""The servers of a test session: started by the first test that needs them, shared by all workers.

Where a Docker engine answers they are containers, PostgreSQL 17 and SeaweedFS; elsewhere the embedded tier,
PostgreSQL 18. ``HAULIER_TEST_SERVERS=embedded`` or ``containers`` chooses; the tests are the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING

from support.engine import docker, engine_answers

from haulier_command import embedded
from haulier_command.embedded import Tier, postgres, seaweedfs
from haulier_command.embedded.processes import Process

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

_PREFIX = "haulier-tests-"
_STARTUP_SECONDS = 60


def make_home() -> Path:
    """A folder for one session's servers. Clears away those of sessions that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another account's, or gone meanwhile
            if (left / "owner").read_text(encoding="utf-8") and Process.load(left / "owner") is None:
                remove_home(left)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX))
    home.chmod(0o711)  # PostgreSQL, which may run as another account, passes through
    owner = Process.of(getpid())
    assert owner
    owner.save(home / "owner")
    return home


def remove_home(home: Path) -> None:
    """Stop the servers of this folder, where there are any, and delete it."""
    embedded.down(home)
    with suppress(FileNotFoundError):
        started = json.loads((home / "containers.json").read_text(encoding="utf-8"))
        docker("rm", "--force", "--volumes", *started["containers"], check=False)
    shutil.rmtree(home, ignore_errors=True)


def kind() -> str:
    """`containers` or `embedded`."""
    chosen = os.environ.get("HAULIER_TEST_SERVERS") or ("containers" if engine_answers() else "embedded")
    assert chosen in ("containers", "embedded"), f"HAULIER_TEST_SERVERS: {chosen!r}"
    return chosen


def up(home: Path, settings: Mapping[str, str]) -> Tier:
    """The session's two servers, whoever started them."""
    return embedded.up(home, settings=settings) if kind() == "embedded" else containers(home, settings)


def containers(home: Path, settings: Mapping[str, str]) -> Tier:
    """The two servers as containers, which others than this machine reach, too."""
    with (home / "containers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = home / "containers.json"
        if not file.exists():
            file.write_text(json.dumps(_start(home, settings)), encoding="utf-8")
        started = json.loads(file.read_text(encoding="utf-8"))
    return Tier(home=home, environment=started["environment"], psql=postgres.binaries() / "psql")


def _start(home: Path, settings: Mapping[str, str]) -> dict[str, object]:
    # Its helper container, which would remove them, cannot be pulled everywhere; `remove_home` does it.
    os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.core.container import DockerContainer

    access, secret = secrets.token_hex(10), secrets.token_hex(20)
    identity = {
        "name": "haulier",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    (home / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    options = " ".join(f"-c {name}={value}" for name, value in {"max_connections": "200", **settings}.items())
    database = PostgresContainer(
        "postgres:17", username="haulier", password=secrets.token_hex(12), dbname="haulier", driver=None
    ).with_command(f"postgres {options}")
    store = (
        DockerContainer("chrislusf/seaweedfs:latest")
        .with_exposed_ports(8333)
        .with_volume_mapping(str(home / "s3.json"), "/etc/s3.json", "ro")
        .with_kwargs(entrypoint=["weed"])
        .with_command(
            "-logtostderr=true mini -dir=/data -s3.config=/etc/s3.json -bucket=haulier -s3.autoCreateBucket=false "
            "-ip.bind=0.0.0.0 -master.telemetry=false -webdav=false -admin.ui=false -master.volumeSizeLimitMB=512 -volume.max=0"
        )
    )
    _begin(store)
    _begin(database)
    endpoint = f"http://127.0.0.1:{store.get_exposed_port(8333)}"
    _takes_objects(endpoint, access, secret)
    return {
        "containers": [one.get_wrapped_container().id for one in (database, store)],
        "environment": {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(database.get_exposed_port(5432)),
            "PGUSER": "haulier",
            "PGPASSWORD": database.password,
            "PGDATABASE": "haulier",
            "PGSSLMODE": "disable",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": access,
            "AWS_SECRET_ACCESS_KEY": secret,
            "HAULIER_EXCHANGE": "s3://haulier/exchange",
        },
    }


def _begin(container: DockerContainer) -> None:
    """Start it; once more where the engine could not. A busy one's runc may end before its container begins, which says
    nothing of what is tested and would fail every test of a module.
    """
    from docker.errors import APIError

    try:
        container.start()
    except APIError as exc:
        sys.stderr.write(f"the engine did not start {container.image}, so once more: {exc}\n")
        container.stop()
        container.start()


def _takes_objects(endpoint: str, access: str, secret: str) -> None:
    """Wait until something can be stored."""
    store = seaweedfs.bucket_at(endpoint, access, secret)
    deadline = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < deadline:
        if seaweedfs.takes_objects(store):
            return
        time.sleep(0.2)
    raise AssertionError(f"{endpoint} was not ready after {_STARTUP_SECONDS} seconds")
