"""Files that lie in somebody's own bucket, on a real S3 (SeaweedFS), with credentials of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import pytest
from obstore.store import S3Store
from support.databases import Database
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

    def empty(self) -> None:
        for page in obstore.list(self._store, self.prefix):
            obstore.delete(self._store, [found["path"] for found in page])


@pytest.fixture
def bucket(tier: Tier) -> Iterator[Bucket]:
    made = Bucket(tier)
    yield made
    made.empty()


@pytest.fixture
def settings(bucket: Bucket, tmp_path: Path) -> Settings:
    """An exchange in a folder, so that every credential here is the source's."""
    return Settings.from_env({**bucket.environment, "HAULIER_EXCHANGE": f"file://{tmp_path}/exchange"})


def look(bucket: Bucket, settings: Settings, path: str = "*.csv", **options: Any) -> Found:
    files = Files(path=f"{bucket.path}/{path}", **options)
    return find(Instance(pipeline="things", instance="main", source=Source(files=files)), TODAY, settings)


def names(found: Found, bucket: Bucket) -> list[str]:
    return [file.uri.removeprefix(f"{bucket.path}/") for file in found.files]


def test_objects_that_match_are_found_with_their_bytes(bucket: Bucket, settings: Settings) -> None:
    for name in ("a.csv", "b.txt", "deep/c.csv", ".hidden.csv"):
        bucket.put(name)
    bucket.put("big.csv", ROWS * 1_000_000)

    found = look(bucket, settings)

    assert names(found, bucket) == ["a.csv", "big.csv"]  # the oldest first
    assert names(look(bucket, settings, "bi*.csv"), bucket) == ["big.csv"]
    assert names(look(bucket, settings, "deep/c.csv"), bucket) == ["deep/c.csv"]
    assert b"".join(found.files[1].open()) == ROWS * 1_000_000
    assert (found.files[0].logical_name, found.files[0].bytes) == ("a.csv", len(ROWS))
    assert sorted(names(look(bucket, settings, "**/*.csv"), bucket)) == ["a.csv", "big.csv", "deep/c.csv"]


def test_a_listing_of_many_pages_is_whole(bucket: Bucket, settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: bucket.put(f"{number:04}.csv", b""), range(1100)))

    assert len(look(bucket, settings).files) == 1100


def test_a_date_in_the_name_decides(bucket: Bucket, settings: Settings) -> None:
    today, other = NOW.date().isoformat(), "2001-01-05"
    for day in (today, other, "2001-02-31"):
        bucket.put(f"in/{day}/labs.csv")

    found = look(bucket, settings, "in/{date:%Y-%m-%d}/labs.csv", select="name", look_back_days=1)

    assert names(found, bucket) == [f"in/{today}/labs.csv"]
    assert found.waiting == (
        f"{bucket.path}/in/2001-02-31/labs.csv waits: the date in its name is no day of the calendar",
    )


def test_what_may_be_half_there_waits_as_in_a_folder(bucket: Bucket, settings: Settings) -> None:
    bucket.put("a.csv", b"thing,price\none")
    bucket.put("b.csv")
    bucket.put("c.csv")
    bucket.put("c.csv.done", b"")

    assert "a.csv waits: its last line has no end" in look(bucket, settings).waiting[0]
    marked = look(bucket, settings, "*", ready=Ready(marker="{name}.done"))
    assert names(marked, bucket) == ["c.csv"]
    assert len(look(bucket, settings, ready=Ready(quiet_seconds=3600)).waiting) == 3


def test_an_object_that_is_gone_when_it_is_kept_has_vanished(bucket: Bucket, settings: Settings) -> None:
    bucket.put("a.csv")
    (file,) = look(bucket, settings).files
    bucket.delete("a.csv")

    with pytest.raises(Vanished):
        list(file.open())


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"source_s3_secret_access_key": "wrong"}, DefinitionError, "HAULIER_SOURCE_S3_"),
        (
            {"source_s3_secret_access_key": None},
            DefinitionError,
            "HAULIER_SOURCE_S3_SECRET_ACCESS_KEY: not set",
        ),
        (
            {"source_s3_endpoint": "http://127.0.0.1:1", "s3_timeout_seconds": 0.2},
            TransientError,
            "try again later",
        ),
    ],
)
def test_a_refusal_names_the_sources_own_settings_and_no_secret(
    bucket: Bucket, settings: Settings, changes: dict[str, Any], error: type[HaulierError], said: str
) -> None:
    with pytest.raises(error) as refused:
        look(bucket, replace(settings, **changes))

    assert said in str(refused.value)
    assert "AWS_" not in str(refused.value).replace("HAULIER_SOURCE_S3_", "")
    assert settings.source_s3_secret_access_key not in (
        str(refused.value),
        repr(settings),
        repr(refused.value.context),
    )


def test_a_bucket_is_hauled_as_a_folder_is_and_checked_before(
    bucket: Bucket, settings: Settings, database: Database, tmp_path: Path
) -> None:
    for folder, name, document in (
        (
            "pipelines",
            "things.yaml",
            {
                "pipeline": "things",
                "contract": "../contracts/things.yaml",
                "source": {"files": {"path": f"{bucket.path}/*.csv"}},
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
    bucket.put("a.csv")

    assert check(None, None, ours) == []
    haul(ours, "things", "main", TODAY)
    assert haul(ours, "things", "main", TODAY)["load"].outcome == "already done"

    assert database.rows("SELECT thing, price::int FROM shop.things") == [("one", 1)]
    assert database.rows("SELECT uri, logical_name FROM haulier.delivery") == [
        (f"{bucket.path}/a.csv", "a.csv")
    ]
    (finding,) = check(None, None, replace(ours, source_s3_secret_access_key="wrong"))
    assert finding[0] == "things/main"
    assert "HAULIER_SOURCE_S3_" in finding[1]
