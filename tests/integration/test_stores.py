"""Files that lie in somebody else's store, on a real S3 and a real SFTP server (SeaweedFS): one suite for both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import obstore
import pytest
from obstore.store import S3Store
from support.databases import Database
from support.sftp import SftpServer
from support.steps import haul

from haulier.definitions import Instance
from haulier.definitions.sources import Files, Ready, Source
from haulier.errors import DefinitionError, HaulierError, TransientError
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_command.embedded import Tier
from haulier_extract.check import check
from haulier_extract.sources import Found, Vanished, find

ROWS = b"thing,price\none,1\n"
NOW = datetime.now(UTC)
TODAY = Interval(start=NOW - timedelta(hours=12), end=NOW + timedelta(hours=12))


class Bucket:
    """A prefix of one's own in a real bucket."""

    #: So many objects are listed in several answers.
    many, threads = 1100, 8
    secret = "HAULIER_SOURCE_S3_SECRET_ACCESS_KEY"
    refused: ClassVar = {"source_s3_secret_access_key": "wrong"}
    unset: ClassVar = {"source_s3_secret_access_key": None}

    def __init__(self, tier: Tier) -> None:
        aws = {name: value for name, value in tier.environment.items() if name.startswith("AWS_")}
        self.environment = {name.replace("AWS_", "HAULIER_SOURCE_S3_"): value for name, value in aws.items()}
        self.prefix = f"source-{uuid4().hex}"
        self.path = f"s3://haulier/{self.prefix}"
        self._store = S3Store(
            "haulier",
            endpoint=aws["AWS_ENDPOINT_URL"],
            access_key_id=aws["AWS_ACCESS_KEY_ID"],
            secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
            region=aws["AWS_REGION"],
            client_options={"allow_http": True},
        )

    def put(self, name: str, data: bytes = ROWS) -> None:
        obstore.put(self._store, f"{self.prefix}/{name}", data)

    def delete(self, *names: str) -> None:
        obstore.delete(self._store, [f"{self.prefix}/{name}" for name in names])

    def moved_away(self, settings: Settings) -> Settings:
        """Where nobody listens."""
        return replace(settings, source_s3_endpoint="http://127.0.0.1:1", s3_timeout_seconds=0.2)

    def empty(self) -> None:
        for page in obstore.list(self._store, self.prefix):
            obstore.delete(self._store, [found["path"] for found in page])


class Folder:
    """A folder of one's own on a real SFTP server."""

    #: One answer of the server lists a hundred; its client is no friend of threads.
    many, threads = 250, 1
    secret = "HAULIER_SOURCE_SFTP_PASSWORD"
    refused: ClassVar = {"source_sftp_password": "wrong"}
    unset: ClassVar = {"source_sftp_password": None}

    def __init__(self, server: SftpServer) -> None:
        self.environment = server.environment
        self.folder = f"/source-{uuid4().hex}"
        self.path = f"sftp://{server.address}{self.folder}"
        self._server = server

    def put(self, name: str, data: bytes = ROWS) -> None:
        self._server.put(f"{self.folder}/{name}", data)

    def delete(self, *names: str) -> None:
        for name in names:
            self._server.delete(f"{self.folder}/{name}")

    def moved_away(self, settings: Settings) -> Settings:
        """Where nobody listens."""
        self.path = f"sftp://127.0.0.1:1{self.folder}"
        return settings

    def empty(self) -> None:
        """The server goes with all it has."""


Place = Bucket | Folder


@pytest.fixture(params=["s3", "sftp"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    fixture, kind = {"s3": ("tier", Bucket), "sftp": ("sftp", Folder)}[request.param]
    made: Place = kind(request.getfixturevalue(fixture))
    yield made
    made.empty()


@pytest.fixture
def settings(place: Place, tmp_path: Path) -> Settings:
    """An exchange in a folder, so that every credential here is the source's."""
    return Settings.from_env({**place.environment, "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange"})


def look(place: Place, settings: Settings, path: str = "*.csv", **options: Any) -> Found:
    files = Files(path=f"{place.path}/{path}", **options)
    return find(Instance(pipeline="things", instance="main", source=Source(files=files)), TODAY, settings)


def names(found: Found, place: Place) -> list[str]:
    return [file.uri.removeprefix(f"{place.path}/") for file in found.files]


def test_objects_that_match_are_found_with_their_bytes(place: Place, settings: Settings) -> None:
    for name in ("a.csv", "b.txt", "deep/c.csv", ".hidden.csv"):
        place.put(name)
    place.put("big.csv", ROWS * 1_000_000)

    found = look(place, settings)

    assert names(found, place) == ["a.csv", "big.csv"]  # the oldest first
    assert names(look(place, settings, "bi*.csv"), place) == ["big.csv"]
    assert names(look(place, settings, "deep/c.csv"), place) == ["deep/c.csv"]
    assert b"".join(found.files[1].open()) == ROWS * 1_000_000
    assert (found.files[0].logical_name, found.files[0].bytes) == ("a.csv", len(ROWS))
    assert sorted(names(look(place, settings, "**/*.csv"), place)) == ["a.csv", "big.csv", "deep/c.csv"]


def test_a_listing_of_many_pages_is_whole(place: Place, settings: Settings) -> None:
    with ThreadPoolExecutor(place.threads) as pool:
        list(pool.map(lambda number: place.put(f"{number:04}.csv", b""), range(place.many)))

    assert len(look(place, settings).files) == place.many


def test_a_date_in_the_name_decides(place: Place, settings: Settings) -> None:
    today, other = NOW.date().isoformat(), "2001-01-05"
    for day in (today, other, "2001-02-31"):
        place.put(f"in/{day}/labs.csv")

    found = look(place, settings, "in/{date:%Y-%m-%d}/labs.csv", select="name", look_back_days=1)

    assert names(found, place) == [f"in/{today}/labs.csv"]
    assert found.waiting == (
        f"{place.path}/in/2001-02-31/labs.csv waits: the date in its name is no day of the calendar",
    )


def test_what_may_be_half_there_waits_as_in_a_folder(place: Place, settings: Settings) -> None:
    place.put("a.csv", b"thing,price\none")
    place.put("b.csv")
    place.put("c.csv")
    place.put("c.csv.done", b"")

    assert "a.csv waits: its last line has no end" in look(place, settings).waiting[0]
    marked = look(place, settings, "*", ready=Ready(marker="{name}.done"))
    assert names(marked, place) == ["c.csv"]
    assert len(look(place, settings, ready=Ready(quiet_seconds=3600)).waiting) == 3


def test_an_object_that_is_gone_when_it_is_kept_has_vanished(place: Place, settings: Settings) -> None:
    place.put("a.csv")
    (file,) = look(place, settings).files
    place.delete("a.csv")

    with pytest.raises(Vanished):
        list(file.open())


@pytest.mark.parametrize(
    ("what", "error", "said"),
    [
        ("refused", DefinitionError, "HAULIER_SOURCE_S"),
        ("unset", DefinitionError, ": not set"),
        ("unreachable", TransientError, "try again later"),
    ],
)
def test_a_refusal_names_the_sources_own_settings_and_no_secret(
    place: Place, settings: Settings, what: str, error: type[HaulierError], said: str
) -> None:
    asked = place.moved_away(settings) if what == "unreachable" else replace(settings, **getattr(place, what))
    with pytest.raises(error) as refused:
        look(place, asked)

    assert said in str(refused.value)
    if what == "unset":
        assert str(refused.value).startswith(f"{place.secret}: not set")
    assert "AWS_" not in str(refused.value).replace("HAULIER_SOURCE_S3_", "")
    for shown in (str(refused.value), repr(settings), repr(refused.value.context)):
        assert place.environment[place.secret] not in shown


def test_a_store_is_hauled_as_a_folder_is_and_checked_before(
    place: Place, settings: Settings, database: Database, tmp_path: Path
) -> None:
    for folder, name, document in (
        (
            "pipelines",
            "things.yaml",
            {
                "pipeline": "things",
                "contract": "../contracts/things.yaml",
                "source": {"files": {"path": f"{place.path}/*.csv"}},
            },
        ),
        (
            "contracts",
            "things.yaml",
            {
                **{"apiVersion": "v3.0.2", "kind": "DataContract", "id": "things", "version": "1.0.0"},
                "status": "active",
                "schema": [
                    {
                        "name": "things",
                        "physicalName": "shop.things",
                        "properties": [
                            {"name": "thing", "logicalType": "string", "primaryKey": True},
                            {"name": "price", "logicalType": "number"},
                        ],
                    }
                ],
            },
        ),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(json.dumps(document))
    ours = replace(
        settings,
        definitions=tmp_path,
        postgres=Settings.from_env(database.environment).postgres,
        actor="tester",
    )
    place.put("a.csv")

    assert check(None, None, ours) == []
    haul(ours, "things", "main", TODAY)
    assert haul(ours, "things", "main", TODAY)["load"].outcome == "already done"

    assert database.rows("SELECT thing, price::int FROM shop.things") == [("one", 1)]
    assert database.rows("SELECT uri, logical_name FROM haulier.delivery") == [
        (f"{place.path}/a.csv", "a.csv")
    ]
    (finding,) = check(None, None, replace(ours, **place.refused))
    assert finding[0] == "things/main"
    assert "HAULIER_SOURCE_S" in finding[1]
