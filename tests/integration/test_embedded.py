"""The embedded tier: two real servers that come up by themselves, for us alone, and go without a trace."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store
from support import servers
from support.databases import Database

from haulier.errors import DefinitionError, TransientError
from haulier_command import embedded
from haulier_command.embedded import Tier, postgres, seaweedfs
from haulier_command.embedded.state import SECOND_PORT, State

FAST = {"fsync": "off"}
AS_ROOT = os.geteuid() == 0


@pytest.fixture
def home() -> Iterator[Path]:
    made = servers.make_home()
    yield made
    servers.remove_home(made)


@pytest.fixture(scope="module")
def tier() -> Iterator[Tier]:
    """The embedded one, whatever servers the other tests have."""
    home = servers.make_home()
    try:
        yield embedded.up(home, settings={"fsync": "off", "full_page_writes": "off"})
    finally:
        servers.remove_home(home)


def pids(home: Path) -> list[int]:
    found = [postgres.running(home), seaweedfs.running(home)]
    return [process.pid for process in found if process]


def rows(tier: Tier, query: str) -> list[tuple[object, ...]]:
    return Database(environment=tier.environment).rows(query)


def store(tier: Tier, **changes: str) -> S3Store:
    return S3Store(
        "haulier",
        endpoint=tier.environment["AWS_ENDPOINT_URL"],
        access_key_id=changes.get("key", tier.environment["AWS_ACCESS_KEY_ID"]),
        secret_access_key=changes.get("secret", tier.environment["AWS_SECRET_ACCESS_KEY"]),
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )


def test_the_second_up_finds_the_first(tier):
    before = pids(tier.home)

    assert embedded.up(tier.home) == tier
    assert embedded.running(tier.home) == tier
    assert pids(tier.home) == before


def listening(pid: int) -> list[str]:
    """Addresses on which a process listens."""
    process = psutil.Process(pid)
    try:
        return [
            connection.laddr.ip
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    except psutil.AccessDenied:
        return _listening_as_its_owner(process)


def _listening_as_its_owner(process: psutil.Process) -> list[str]:
    """The same where root may not look into another account's processes, as in a container."""
    files = subprocess.run(
        ["ls", "-l", f"/proc/{process.pid}/fd"],
        user=process.uids().real,
        group=process.gids().real,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    own = set(re.findall(r"socket:\[(\d+)\]", files))
    found = []
    for table in ("tcp", "tcp6"):
        lines = [line.split() for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        for _, local, _, state, *rest in lines:
            if state == "0A" and rest[5] in own:
                words = [
                    bytes.fromhex(local.partition(":")[0])[at : at + 4][::-1]
                    for at in range(0, len(local) // 2 - 2, 4)
                ]
                found.append(str(ipaddress.ip_address(b"".join(words))))
    return found


def test_nothing_listens_but_on_loopback(tier):
    addresses = [address for pid in pids(tier.home) for address in listening(pid)]

    assert set(addresses) == {"127.0.0.1"}
    # One of PostgreSQL's, two of each part of SeaweedFS.
    assert len(addresses) == 1 + 2 * len(seaweedfs.PORTS)


@pytest.mark.parametrize("password", ["wrong", ""])
def test_postgresql_wants_the_password(tier, password):
    with pytest.raises(psycopg2.OperationalError, match="password"):
        Database(environment=tier.environment | {"PGPASSWORD": password}).connect()


@pytest.mark.parametrize("changes", [{"key": "wrong"}, {"secret": "wrong"}])
def test_s3_wants_both_keys(tier, changes):
    with pytest.raises((PermissionDeniedError, UnauthenticatedError)):
        store(tier, **changes).put("x", b"")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_the_back_door_of_s3_is_locked(tier, method):
    """SeaweedFS keeps objects in its filer, which asks nobody anything unless it is told to."""
    port = json.loads((tier.home / "tier.json").read_text())["ports"]["filer"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/buckets/haulier/x", method=method, data=b"")

    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(request, timeout=5)
    refused.value.close()


def test_secrets_are_for_their_owner_only(tier):
    secrets = [value for name, value in tier.environment.items() if "PASSWORD" in name or "SECRET" in name]
    holders = [
        path
        for path in tier.home.iterdir()
        if path.is_file() and any(secret in path.read_text() for secret in secrets)
    ]

    assert {path.name for path in holders} == {"env.sh", "s3.json", "tier.json"}
    assert {path.stat().st_mode & 0o077 for path in holders} == {0}
    for pid in pids(tier.home):
        assert not any(secret in " ".join(psutil.Process(pid).cmdline()) for secret in secrets)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_person_can_work_with_it_by_hand(tier, shell):
    """Also where the shell knows of other servers."""
    said = subprocess.run(
        [shell, "-euc", f". {tier.home}/env.sh; psql -XAtc 'SHOW server_version_num'"],
        env={"PATH": os.environ["PATH"], "PGSERVICE": "production", "PGHOSTADDR": "192.0.2.1"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(said.stdout) >= 170000


def test_the_cluster_is_the_one_we_promise(tier):
    told = rows(tier, "SELECT current_setting('data_checksums'), current_setting('timezone')")
    made = rows(
        tier,
        "SELECT pg_encoding_to_char(encoding), datlocale FROM pg_database WHERE datname = current_database()",
    )

    assert told == [("on", "UTC")]
    assert made == [("UTF8", "C.UTF-8")]


def test_it_writes_safely_unless_told_otherwise(tier, durable_tier):
    assert rows(durable_tier, "SHOW fsync") == [("on",)]
    assert rows(tier, "SHOW fsync") == [("off",)]


def test_down_stops_and_removes_its_own_and_nothing_else(home, tier):
    (home / "notes.txt").write_text("a person's")
    embedded.up(home, settings=FAST)
    ours, others = pids(home), pids(tier.home)

    known = State.load(home).ports
    ports = {str(known[name] + distance) for name in seaweedfs.PORTS for distance in (0, SECOND_PORT)}

    embedded.down(home)

    assert sorted(path.name for path in home.iterdir()) == ["notes.txt", "owner"]
    assert not [path for path in Path("/tmp").glob("seaweedfs-*") if path.stem.rpartition("-")[2] in ports]
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in ours)
    assert pids(tier.home) == others
    assert embedded.running(home) is None
    embedded.down(home)


def test_a_folder_that_holds_no_tier_is_left_as_it_is(tmp_path):
    """Somebody may name the wrong one."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "s3.json").write_text("precious")

    embedded.down(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["postgres", "s3.json"]


def test_data_outlives_a_stop_and_a_crash(home):
    """A crash: both servers killed, and the number that PostgreSQL left belongs to a stranger now."""
    first = embedded.up(home, settings=FAST)
    rows(first, "CREATE TABLE kept AS SELECT 1 AS one")
    store(first).put("kept", b"1")

    embedded.down(home, remove=False)
    assert embedded.running(home) is None
    second = embedded.up(home, settings=FAST)
    assert second == first
    assert rows(second, "kept") == [(1,)]

    for pid in pids(home):
        os.kill(pid, signal.SIGKILL)
    while pids(home):
        time.sleep(0.01)
    left = home / "postgres" / "data" / "postmaster.pid"
    lines = left.read_text().splitlines(keepends=True)
    with subprocess.Popen(["sleep", "60"], user="nobody" if AS_ROOT else None) as stranger:
        left.write_text("".join([f"{stranger.pid}\n", *lines[1:]]))
        third = embedded.up(home, settings=FAST)
        assert stranger.poll() is None
        stranger.kill()
    assert rows(third, "kept") == [(1,)]
    assert bytes(store(third).get("kept").bytes()) == b"1"


def test_a_server_without_a_record_is_found(home):
    """The command that started it was killed before it could write down whom it started."""
    tier = embedded.up(home, settings=FAST)
    before = pids(home)
    (home / "postgres.process").unlink()

    assert embedded.up(home) == tier
    assert pids(home) == before


def test_two_who_start_it_at_once_get_the_same(home):
    found: list[Tier] = []
    starters = [
        threading.Thread(target=lambda: found.append(embedded.up(home, settings=FAST))) for _ in range(2)
    ]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert len(found) == 2
    assert found[0] == found[1]


def test_a_server_that_does_not_come_up_says_why(home):
    with pytest.raises(TransientError, match=r'postgres ended at once; [^$]*"shared_buffers": "nonsense"'):
        embedded.up(home, settings={"shared_buffers": "nonsense"})


def test_without_the_server_packages_it_says_what_to_install(home, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(DefinitionError, match=r"haulier-command\[embedded\]"):
        embedded.up(home)


@pytest.mark.skipif(not AS_ROOT, reason="only root has folders that PostgreSQL's account cannot enter")
def test_it_works_where_only_root_can_go(home):
    """A checkout under root's own folder: data and binaries go elsewhere, and leave nothing there."""
    home.chmod(0o700)
    inner = home / "closed" / ".haulier"
    tier = embedded.up(inner, settings=FAST)
    elsewhere = (inner / "postgres").resolve()

    assert rows(tier, "SELECT 1") == [(1,)]
    assert elsewhere.parent == Path("/var/tmp")
    assert elsewhere.stat().st_uid == 0
    embedded.down(inner)
    assert not elsewhere.exists()


@pytest.mark.skipif(not AS_ROOT, reason="only root has folders that PostgreSQL's account cannot enter")
def test_what_a_deleted_folder_left_elsewhere_is_cleared_away(home):
    home.chmod(0o700)
    inner = home / "closed" / ".haulier"
    embedded.up(inner, settings=FAST)
    old = pids(inner)[0]
    seaweedfs.stop(inner, State.load(inner), kept=False)
    subprocess.run(["rm", "-rf", inner], check=True)

    tier = embedded.up(inner, settings=FAST)

    assert not psutil.pid_exists(old) or psutil.Process(old).status() == "zombie"
    assert rows(tier, "SELECT 1") == [(1,)]
    embedded.down(inner)


# As nobody, Python can no longer read a standard library under root's folder, so all is read before.
ORDINARY = """
import concurrent.futures.thread, fcntl, json, os, pwd, random, sys
import obstore.exceptions, obstore.store, psycopg2, psycopg2.extensions
from pathlib import Path
from haulier_command import embedded
nobody = pwd.getpwnam("nobody")
binaries = embedded.postgres.binaries()
os.setgroups([]); os.setgid(nobody.pw_gid); os.setuid(nobody.pw_uid)
if not os.access(binaries / "postgres", os.X_OK):
    sys.exit(99)
home = Path(sys.argv[1])
tier = embedded.up(home)
owners = {path.stat().st_uid for path in (home, home / "postgres" / "data", home / "s3")}
again = embedded.up(home) == tier
embedded.down(home)
print(json.dumps({"ours": owners == {nobody.pw_uid}, "again": again, "gone": not home.exists()}))
"""


@pytest.mark.skipif(not AS_ROOT, reason="every other test here runs as an ordinary user already")
def test_it_works_as_an_ordinary_user(home):
    open_to_all = home / "ordinary"
    home.chmod(0o711)
    open_to_all.mkdir()
    open_to_all.chmod(0o777)

    said = subprocess.run(
        [sys.executable, "-c", ORDINARY, open_to_all / "home"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )

    if said.returncode == 99:
        pytest.skip("no account but root can reach this checkout")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout) == {"ours": True, "again": True, "gone": True}
