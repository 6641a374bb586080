"""What every test can ask for: servers that really run, a database of its own, an exchange of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from support import requirements, servers, unrun
from support.databases import Database, fresh_database

from haulier_command import embedded
from haulier_command.embedded import Tier

if TYPE_CHECKING:
    from support.sftp import SftpServer

_HOME = pytest.StashKey[Path]()
# Where a person's own servers are: no business of a test.
_FOREIGN = ("PG", "AWS_", "HAULIER_EXCHANGE", "HAULIER_HOME", "HAULIER_DEFINITIONS", "HAULIER_SOURCE_ROOT")


# Folders whose files take minutes each. They begin first: last, one worker would end with them alone.
_LONG = ("e2e", "faults", "images", "dags")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    rank = {folder: place for place, folder in enumerate(_LONG)}
    requirements.note_marks(items)
    items.sort(key=lambda item: rank.get(item.path.relative_to(tests).parts[0], len(_LONG)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--requirements", type=Path, metavar="FILE", help="write the matrix of docs/requirements.toml there"
    )


def pytest_configure(config: pytest.Config) -> None:
    if (path := config.getoption("--requirements")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(requirements.Matrix(path))
    for name in [name for name in os.environ if name.startswith(_FOREIGN)]:
        del os.environ[name]
    given = getattr(config, "workerinput", None)
    config.stash[_HOME] = Path(given["haulier_home"]) if given else servers.make_home()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of pytest-xdist uses the controller's servers."""
    node.workerinput["haulier_home"] = str(node.config.stash[_HOME])


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _HOME in config.stash:
        servers.remove_home(config.stash[_HOME])


@pytest.fixture(scope="session")
def tier(request: pytest.FixtureRequest) -> Tier:
    """PostgreSQL and S3, shared by the whole session: fast, and careless of a power cut."""
    return servers.up(request.config.stash[_HOME], {"fsync": "off", "full_page_writes": "off"})


@pytest.fixture(scope="session")
def durable_tier() -> Iterator[Tier]:
    """PostgreSQL and S3 of this worker alone, writing as they would in production."""
    home = servers.make_home()
    try:
        yield embedded.up(home)
    finally:
        servers.remove_home(home)


@pytest.fixture(scope="session")
def sftp() -> Iterator[SftpServer]:
    """A server of files, shared by the whole session."""
    from support.sftp import sftp_server

    with sftp_server() as made:
        yield made


@pytest.fixture(scope="module")
def maria() -> Iterator[Path]:
    """The socket of a MariaDB of the module's own."""
    from support import mariadb

    with mariadb.running() as socket:
        yield socket


@pytest.fixture(scope="module")
def logical() -> Iterator[Tier]:
    """A server of the module's own whose log can be followed."""
    from support.replicated import logical_server

    with logical_server() as made:
        yield made


@pytest.fixture
def database(tier: Tier) -> Iterator[Database]:
    """A database of the test's own, with an empty ledger."""
    with fresh_database(tier) as made:
        yield made


@pytest.fixture
def exchange_environment(tier: Tier) -> Iterator[dict[str, str]]:
    """The variables of an exchange on S3 that is the test's own."""
    import obstore
    from obstore.store import S3Store

    prefix = uuid4().hex
    aws = {name: value for name, value in tier.environment.items() if name.startswith("AWS_")}
    yield aws | {"HAULIER_EXCHANGE": f"s3://haulier/{prefix}"}
    store = S3Store(
        "haulier",
        endpoint=aws["AWS_ENDPOINT_URL"],
        access_key_id=aws["AWS_ACCESS_KEY_ID"],
        secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
        region=aws["AWS_REGION"],
        client_options={"allow_http": True},
    )
    for page in obstore.list(store, prefix):
        obstore.delete(store, [found["path"] for found in page])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, a test that stays away without a known reason is a failure."""
    if os.environ.get("CI") == "true" and unrun.refused(_reasons(session.config)) and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reasons = _reasons(config)
    for line in unrun.lines(reasons):
        terminalreporter.write_line(line)
    if os.environ.get("CI") == "true":
        for reason in unrun.refused(reasons):
            terminalreporter.write_line(f"CI does not accept that reason: {reason}", red=True)


def _reasons(config: pytest.Config) -> dict[str, list[str]]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return unrun.by_reason(reporter.stats.get("skipped", [])) if reporter else {}
