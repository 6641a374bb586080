"""A run in shards: what each sees, and that all of them together are the run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from support.manifests import KEYS, a_manifest
from support.memory import MemoryExchange

from haulier.errors import DataError, DefinitionError
from haulier.exchange import ObjectMissing
from haulier.manifest import Delivery, Part, Shard, SourceAccount
from haulier.sealing import read_manifest, seal
from haulier.shards import of_shard, read_transformed, transform_digest


def part(step, number, rows, shard=None):
    keys = replace(KEYS, shard=shard)
    return Part(key=keys.part(step, "a", number, "f" * 64), sha256="f" * 64, bytes=1, rows=rows)


def delivery(number):
    return Delivery(
        delivery_id=number,
        logical_name=f"{number}.csv",
        sequence=1,
        sha256="a" * 64,
        bytes=1,
        uri=f"file://{number}.csv",
        modified_at=datetime(2026, 1, 5, tzinfo=UTC),
        original=f"original/{number}",
    )


EXTRACTED = a_manifest(
    deliveries=(delivery(11), delivery(12)),
    accounts=(
        SourceAccount(delivery_id=11, read=110, accepted=100, filtered=0, rejected=7, stripped=3),
        SourceAccount(delivery_id=12, read=51, accepted=50, filtered=0, rejected=1, stripped=0),
    ),
    parts=(part("extract", 0, 60), part("extract", 1, 40), part("extract", 2, 50)),
    rejects=(part("extract", 9, 8),),
    rules={"ragged": 8},
    produced=150,
    shards=(Shard(first=0, end=1, accepted=(60, 0)), Shard(first=1, end=3, accepted=(40, 50))),
)


def transformed(number, **changes):
    """What transform would seal of a shard in which it filters one row and rejects another."""
    seen = of_shard(EXTRACTED, number)
    accounts = tuple(
        SourceAccount(
            delivery_id=a.delivery_id,
            read=a.read,
            accepted=a.accepted - 2,
            filtered=a.filtered + 1,
            rejected=a.rejected + 1,
            stripped=a.stripped,
        )
        if a.accepted
        else a
        for a in seen.accounts
    )
    made = {
        "step": "transform",
        "shard": number,
        "shards": (),
        "input_digest": transform_digest(EXTRACTED, number),
        "accounts": accounts,
        "parts": (part("transform", 0, sum(a.accepted for a in accounts), number),),
        "rejects": (*seen.rejects, part("transform", 8, 1, number)),
        "produced": sum(a.accepted for a in accounts),
        "rules": {**seen.rules, "type": 1},
        "filtered": {"screening": sum(a.filtered for a in accounts)},
        "versions": {"functions": "f1", "haulier": "1"},
        "notes": ("a new column", f"only in {number}"),
    }
    return msgspec.structs.replace(seen, **{**made, **changes})


@pytest.fixture
def exchange():
    store = MemoryExchange()
    seal(store, KEYS, EXTRACTED)
    return store


def seal_shards(exchange, *manifests):
    for manifest in manifests:
        seal(exchange, replace(KEYS, shard=manifest.shard), manifest)


def test_a_shard_accounts_for_its_rows_and_the_first_for_what_extract_rejected():
    first, second = of_shard(EXTRACTED, 1), of_shard(EXTRACTED, 2)

    assert [(a.read, a.accepted, a.rejected, a.stripped) for a in first.accounts] == [
        (70, 60, 7, 3),
        (1, 0, 1, 0),
    ]
    assert [(a.read, a.accepted, a.rejected, a.stripped) for a in second.accounts] == [
        (40, 40, 0, 0),
        (50, 50, 0, 0),
    ]
    assert first.parts + second.parts == EXTRACTED.parts
    assert (first.rejects, second.rejects) == (EXTRACTED.rejects, ())


@pytest.mark.parametrize(
    "shards",
    [
        (Shard(first=0, end=1, accepted=(60, 0)), Shard(first=1, end=3, accepted=(39, 50))),
        (Shard(first=0, end=1, accepted=(60, 0)), Shard(first=1, end=3, accepted=(41, 49))),
        (Shard(first=0, end=1, accepted=(60, 0)), Shard(first=1, end=2, accepted=(40, 50))),
        (Shard(first=0, end=1, accepted=(60, 0)), Shard(first=2, end=3, accepted=(40, 50))),
    ],
    ids=["a row less", "a row of another delivery", "a part less", "a gap"],
)
def test_shards_that_are_not_the_whole_run_are_refused(exchange, shards):
    """Split or not, transform notices a row that extract counted and did not hand on."""
    broken = msgspec.structs.replace(EXTRACTED, shards=shards)
    store = MemoryExchange()
    seal(store, KEYS, broken)

    for asked in (lambda: of_shard(broken, 2), lambda: read_transformed(store, KEYS, "closing")):
        with pytest.raises(DataError, match=r"into shards of \d+ rows and accounts for 150; .*--reprocess"):
            asked()


def test_there_is_no_shard_beyond_the_last():
    with pytest.raises(DefinitionError, match=r"--shard 3: .* into 2"):
        of_shard(EXTRACTED, 3)


def test_shards_joined_are_the_manifest_of_the_whole_run(exchange):
    seal_shards(exchange, transformed(2), transformed(1))
    whole = read_transformed(exchange, KEYS, "closing")

    assert (whole.shard, whole.input_digest) == (None, transform_digest(EXTRACTED))
    assert [(a.read, a.accepted, a.filtered, a.rejected, a.stripped) for a in whole.accounts] == [
        (110, 96, 2, 9, 3),
        (51, 48, 1, 2, 0),
    ]
    assert whole.produced == whole.rows == 144
    assert (whole.rules, whole.filtered) == ({"ragged": 8, "type": 2}, {"screening": 3})
    assert whole.notes == ("a new column", "only in 1", "only in 2")
    assert len(whole.rejects) == 3
    assert read_manifest(exchange, KEYS, "transform") == whole
    assert read_transformed(exchange, KEYS, "another") == whole


def test_a_shard_that_is_not_transformed_yet_is_named(exchange):
    seal_shards(exchange, transformed(1))

    with pytest.raises(ObjectMissing, match=r"transform/2/manifest.json is not there"):
        read_transformed(exchange, KEYS, "closing")


def test_shards_of_two_versions_of_the_functions_are_no_run(exchange):
    seal_shards(exchange, transformed(1), transformed(2, versions={"functions": "f2", "haulier": "1"}))

    with pytest.raises(DataError, match=r"different versions of functions.*--reprocess"):
        read_transformed(exchange, KEYS, "closing")


def test_a_shard_of_another_extract_is_refused(exchange):
    seal_shards(exchange, transformed(1), transformed(2, input_digest="e" * 64))

    with pytest.raises(DataError, match=r"transform/2/manifest.json was made of other input"):
        read_transformed(exchange, KEYS, "closing")


def test_a_run_that_was_not_split_has_one_shard(exchange):
    store = MemoryExchange()
    seal(store, KEYS, msgspec.structs.replace(EXTRACTED, shards=()))
    with pytest.raises(ObjectMissing, match=r"transform/manifest.json is not there"):
        read_transformed(store, KEYS, "closing")

    assert of_shard(msgspec.structs.replace(EXTRACTED, shards=()), 1).accounts == EXTRACTED.accounts


def test_a_manifest_of_a_shard_is_refused_in_another_place(exchange):
    with pytest.raises(DataError, match=r"it says it is of shard 1"):
        seal(exchange, replace(KEYS, shard=2), transformed(1))
    with pytest.raises(DataError, match=r"it says it is of the whole run"):
        seal(exchange, replace(KEYS, shard=2), transformed(2, shard=None))
