"""How a manifest is committed, adopted, read back, and refused."""

from __future__ import annotations

import enum
import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.manifests import INTERVAL, KEYS, a_manifest
from support.memory import MemoryExchange

from haulier.definitions.formats import Csv
from haulier.digests import digest_of
from haulier.errors import DataError
from haulier.exchange import Exchange, ObjectMissing
from haulier.exchange.folder import FolderExchange
from haulier.interval import Interval
from haulier.keys import RunKeys
from haulier.manifest import Manifest, Part, encode
from haulier.sealing import manifest_digest, read_manifest, seal

MANIFEST_KEY = KEYS.manifest("extract")


@pytest.fixture
def exchange() -> MemoryExchange:
    return MemoryExchange()


class TestSeal:
    def test_what_was_sealed_is_read(self, exchange: MemoryExchange) -> None:
        manifest = a_manifest(notes=("ä note",), rules={"b": 1, "a": 2})

        assert seal(exchange, KEYS, manifest) == manifest
        assert read_manifest(exchange, KEYS, "extract") == manifest

    def test_it_costs_one_conditional_write(self, exchange: MemoryExchange) -> None:
        seal(exchange, KEYS, a_manifest())

        assert exchange.calls == [("create", MANIFEST_KEY)]

    @pytest.mark.parametrize("step", ["extract", "transform"])
    def test_a_second_attempt_at_equal_content_adopts_the_first(
        self, exchange: MemoryExchange, step: str
    ) -> None:
        first = seal(exchange, KEYS, a_manifest(step=step))
        second = a_manifest(step=step, attempt="attempt-2", versions={"function": "2"})

        assert seal(exchange, KEYS, second) == first
        assert read_manifest(exchange, KEYS, step) == first

    def test_extract_adopts_whatever_was_first(self, exchange: MemoryExchange) -> None:
        first = seal(exchange, KEYS, a_manifest())

        assert seal(exchange, KEYS, a_manifest(attempt="attempt-2", input_digest="e" * 64)) == first

    def test_other_content_for_the_same_generation_is_refused(self, exchange: MemoryExchange) -> None:
        first = seal(exchange, KEYS, a_manifest(step="transform"))

        with pytest.raises(DataError) as error:
            seal(exchange, KEYS, a_manifest(step="transform", attempt="attempt-2", input_digest="e" * 64))

        assert error.value.exit_code == 65
        assert "attempt-1" in str(error.value)
        assert "new generation" in str(error.value)
        assert KEYS.manifest("transform") in str(error.value)
        assert read_manifest(exchange, KEYS, "transform") == first

    def test_a_damaged_winner_is_not_adopted(self, exchange: MemoryExchange) -> None:
        seal(exchange, KEYS, a_manifest())
        exchange.objects[MANIFEST_KEY] = exchange.objects[MANIFEST_KEY].replace(b"attempt-1", b"attempt-9")

        with pytest.raises(DataError, match="not what was sealed"):
            seal(exchange, KEYS, a_manifest(attempt="attempt-2"))

    def test_a_winner_that_went_away_is_for_a_later_attempt(self) -> None:
        class Forgetful(MemoryExchange):
            def create(self, key: str, data: bytes) -> bool:
                return False

        with pytest.raises(ObjectMissing):
            seal(Forgetful(), KEYS, a_manifest())

    def test_the_steps_and_contents_of_a_run_are_sealed_apart(self, exchange: MemoryExchange) -> None:
        replay = replace(KEYS, content="r3")
        seal(exchange, KEYS, a_manifest())
        seal(exchange, KEYS, a_manifest(step="transform", input_digest="e" * 64))
        seal(exchange, replay, a_manifest(content="r3", replay_id=3, input_digest="f" * 64))

        assert read_manifest(exchange, KEYS, "extract").input_digest == "d" * 64
        assert read_manifest(exchange, KEYS, "transform").input_digest == "e" * 64
        assert read_manifest(exchange, replay, "extract").input_digest == "f" * 64

    def test_a_manifest_of_another_place_is_not_sealed(self, exchange: MemoryExchange) -> None:
        with pytest.raises(DataError, match="does not belong there"):
            seal(exchange, KEYS, a_manifest(instance="702"))

        assert exchange.objects == {}

    def test_it_works_on_a_real_store(self, tmp_path: Path) -> None:
        exchange: Exchange = FolderExchange(tmp_path)
        first = seal(exchange, KEYS, a_manifest())

        assert seal(exchange, KEYS, a_manifest(attempt="attempt-2")) == first


class TestReadManifest:
    @pytest.mark.parametrize("step", ["extract", "transform"])
    def test_a_step_that_has_not_sealed_must_run_first(self, exchange: MemoryExchange, step: str) -> None:
        with pytest.raises(ObjectMissing) as error:
            read_manifest(exchange, KEYS, step)

        assert error.value.exit_code == 75
        for fact in (f"{step} must run first", "labs/701", "2026-01-05T00:00:00Z", "g1", KEYS.manifest(step)):
            assert fact in str(error.value)

    def test_it_costs_one_read(self, exchange: MemoryExchange) -> None:
        seal(exchange, KEYS, a_manifest())
        exchange.calls.clear()

        read_manifest(exchange, KEYS, "extract")

        assert exchange.calls == [("get", MANIFEST_KEY)]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:-1],
            lambda data: data[: len(data) // 2],
            lambda data: b"\xff" + data[1:],
            lambda data: b"[]",
            lambda data: b"{}",
            lambda data: b'{"sha256":"' + b"0" * 64 + b'","manifest":{}}',
            lambda data: data.replace(b'"produced":0', b'"produced":1'),
            lambda data: data.replace(b"labs/*.csv", b"labs/?.csv"),
            lambda data: data.replace(b'"sha256":"', b'"sha256":"0', 1),
            lambda data: data.replace(b'"manifest":', b'"more":1,"manifest":'),
        ],
    )
    def test_what_was_changed_after_sealing_is_not_believed(
        self, exchange: MemoryExchange, damage: Callable[[bytes], bytes]
    ) -> None:
        seal(exchange, KEYS, a_manifest())
        sealed = exchange.objects[MANIFEST_KEY]
        exchange.objects[MANIFEST_KEY] = damage(sealed)
        assert exchange.objects[MANIFEST_KEY] != sealed

        with pytest.raises(DataError, match="new generation") as error:
            read_manifest(exchange, KEYS, "extract")

        assert MANIFEST_KEY in str(error.value)

    @given(data=st.data())
    @settings(deadline=None)
    def test_no_wrong_bit_is_believed(self, data: st.DataObject) -> None:
        exchange = MemoryExchange()
        manifest = seal(exchange, KEYS, a_manifest())
        sealed = bytearray(exchange.objects[MANIFEST_KEY])
        at = data.draw(st.integers(0, len(sealed) - 1))
        sealed[at] ^= 1 << data.draw(st.integers(0, 7))
        exchange.objects[MANIFEST_KEY] = bytes(sealed)

        try:
            read = read_manifest(exchange, KEYS, "extract")
        except DataError:
            return
        assert read == manifest, "a blank between the fields is all that may differ"

    def test_a_manifest_of_a_later_version_is_refused(self, exchange: MemoryExchange) -> None:
        data = encode(a_manifest()).replace(b'"version":1', b'"version":2', 1)
        assert data != encode(a_manifest())
        digest = hashlib.sha256(data).hexdigest().encode()
        exchange.objects[MANIFEST_KEY] = b'{"sha256":"%b","manifest":%b}' % (digest, data)

        with pytest.raises(DataError, match="this version reads"):
            read_manifest(exchange, KEYS, "extract")

    @pytest.mark.parametrize(
        ("elsewhere", "told"),
        [
            (a_manifest(pipeline="vitals"), "vitals"),
            (a_manifest(instance="702"), "702"),
            (a_manifest(content="g2", generation=2), "g2"),
            (a_manifest(interval_start=INTERVAL.start - timedelta(days=1)), "2026-01-04"),
            (a_manifest(interval_end=INTERVAL.end + timedelta(days=1)), "2026-01-07"),
            (a_manifest(step="transform"), "transform"),
        ],
    )
    def test_a_manifest_copied_from_elsewhere_is_refused(
        self, exchange: MemoryExchange, elsewhere: Manifest, told: str
    ) -> None:
        keys = RunKeys(
            pipeline=elsewhere.pipeline,
            instance=elsewhere.instance,
            interval=Interval(start=elsewhere.interval_start, end=elsewhere.interval_end),
            content=elsewhere.content,
        )
        seal(exchange, keys, elsewhere)
        exchange.objects[MANIFEST_KEY] = exchange.objects[keys.manifest(elsewhere.step)]

        with pytest.raises(DataError, match="does not belong there") as error:
            read_manifest(exchange, KEYS, "extract")

        assert told in str(error.value)

    @pytest.mark.parametrize("kind", ["parts", "rejects", "flags"])
    def test_a_part_outside_the_runs_content_is_refused(self, exchange: MemoryExchange, kind: str) -> None:
        key = replace(KEYS, content="g2").part("extract", "attempt-1", 0, "a" * 64)
        stray = Part(key=key, sha256="a" * 64, bytes=1, rows=1)

        with pytest.raises(DataError, match="lies elsewhere"):
            seal(exchange, KEYS, a_manifest(**{kind: (stray,)}))


class TestDigests:
    def test_they_are_the_same_in_every_process_and_version(self) -> None:
        """These digests are in sealed manifests: a change here refuses every retry across it."""
        encoded = b"\x94\xa4labs\x07\xc0\x82\xa1a\x92\xc3\xcb\x3f\xf8\0\0\0\0\0\0\xa1b\x01"

        assert digest_of("labs", 7, None, {"b": 1, "a": [True, 1.5]}) == hashlib.sha256(encoded).hexdigest()

    def test_the_order_of_mappings_and_sets_does_not_matter(self) -> None:
        assert digest_of({"a": 1, "b": {"c": 2, "d": 3}}) == digest_of({"b": {"d": 3, "c": 2}, "a": 1})

    def test_the_order_of_parts_and_lists_does(self) -> None:
        assert digest_of("a", "b") != digest_of("b", "a")
        assert digest_of(["a", "b"]) != digest_of(["b", "a"])

    def test_different_values_have_different_digests(self) -> None:
        values = [
            (),
            (None,),
            ("",),
            ("", ""),
            ("ab",),
            ("a", "b"),
            (["a", "b"],),
            (["a"], "b"),
            (1,),
            ("1",),
            (b"1",),
            (True,),
            (1.0,),
            (1.5,),
            (float("inf"),),
            ({},),
            ({"a": None},),
            (datetime(2026, 1, 5, tzinfo=UTC),),
            (datetime(2026, 1, 5, 0, 0, 0, 1, tzinfo=UTC),),
        ]

        assert len({digest_of(*value) for value in values}) == len(values)

    def test_whatever_a_manifest_holds_can_be_digested(self) -> None:
        class Colour(enum.Enum):
            RED = "red"

        assert digest_of(a_manifest(), Csv(), Decimal("1.10"), Colour.RED) == digest_of(
            a_manifest(), Csv(), Decimal("1.10"), Colour.RED
        )
        assert digest_of(Csv()) != digest_of(Csv(delimiter=";"))

    def test_what_has_no_one_encoding_is_refused(self) -> None:
        with pytest.raises(TypeError):
            digest_of(object())

    def test_hash_randomisation_changes_nothing(self) -> None:
        program = "from haulier.digests import digest_of; print(digest_of({'a', 'b', 'c'}, {'x': 1, 'y': 2}))"
        told = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": seed},
                capture_output=True,
                check=True,
                text=True,
            ).stdout
            for seed in ("1", "2", "3")
        }

        assert told == {digest_of({"a", "b", "c"}, {"x": 1, "y": 2}) + "\n"}

    def test_a_manifests_digest_is_the_stored_one(self, exchange: MemoryExchange) -> None:
        manifest = seal(exchange, KEYS, a_manifest())

        stored = msgspec.json.decode(exchange.objects[MANIFEST_KEY])

        assert manifest_digest(manifest) == stored["sha256"]
        assert manifest_digest(read_manifest(exchange, KEYS, "extract")) == stored["sha256"]
        assert manifest_digest(a_manifest(attempt="attempt-2")) != stored["sha256"]

    def test_what_is_stored_can_be_read_by_a_person(self, exchange: MemoryExchange) -> None:
        seal(exchange, KEYS, a_manifest())

        stored = msgspec.json.decode(exchange.objects[MANIFEST_KEY])

        assert list(stored) == ["sha256", "manifest"]
        assert stored["manifest"]["pipeline"] == "labs"
