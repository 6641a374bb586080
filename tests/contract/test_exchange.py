"""What every exchange promises, asked of each: a folder, and a real S3 (SeaweedFS)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from support.processes import in_process, memory_of_large_objects, race

from haulier.errors import DefinitionError
from haulier.exchange import Exchange, ObjectMissing, open_exchange
from haulier.exchange.folder import UNFINISHED, FolderExchange
from haulier.exchange.s3 import UPLOAD_BYTES
from haulier.settings import Settings

MiB = 1024 * 1024


@pytest.fixture(params=["folder", "s3"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Mapping[str, str]:
    if request.param == "folder":
        return {"HAULIER_EXCHANGE": f"file://{tmp_path}/exchange"}
    return request.getfixturevalue("exchange_environment")


@pytest.fixture
def exchange(environment: Mapping[str, str]) -> Exchange:
    return open_exchange(Settings.from_env(environment))


def test_an_object_comes_back_as_it_was_put(exchange: Exchange) -> None:
    data = bytes(range(256)) * 100

    exchange.put("a/b/c", data)

    assert exchange.get("a/b/c") == data
    assert exchange.size("a/b/c") == len(data)
    assert b"".join(exchange.stream("a/b/c")) == data


def test_an_empty_object_is_an_object(exchange: Exchange) -> None:
    exchange.put("empty", b"")

    assert exchange.get("empty") == b""
    assert exchange.size("empty") == 0
    assert list(exchange.stream("empty")) == []
    assert exchange.create("empty", b"x") is False


def test_a_piece_of_an_object_is_read_and_ends_where_it_ends(exchange: Exchange) -> None:
    exchange.put("a", b"0123456789")
    exchange.put("empty", b"")

    assert exchange.piece("a", 0, 3) == b"012"
    assert exchange.piece("a", 8, 100) == b"89"
    assert exchange.piece("a", 10, 11) == b""
    assert exchange.piece("empty", 0, 1) == b""
    with pytest.raises(ObjectMissing):
        exchange.piece("b", 0, 1)


def test_put_takes_memory_as_arrow_hands_it_over(exchange: Exchange) -> None:
    exchange.put("arrow", memoryview(pa.py_buffer(b"\x00\x80\xff")))

    assert exchange.get("arrow") == b"\x00\x80\xff"


def test_put_replaces_the_whole_object(exchange: Exchange) -> None:
    exchange.put("a", b"a long first version")
    exchange.put("a", b"short")

    assert exchange.get("a") == b"short"
    assert exchange.size("a") == 5


def test_a_missing_object_is_missing_in_every_way(exchange: Exchange) -> None:
    exchange.put("there/already", b"x")

    with pytest.raises(ObjectMissing, match="there/not") as missing:
        exchange.get("there/not")
    with pytest.raises(ObjectMissing, match="there/not"):
        next(exchange.stream("there/not"))
    assert missing.value.exit_code == 75
    assert exchange.size("there/not") is None
    assert exchange.size("there") is None, "what lies above an object is no object"
    with pytest.raises(ObjectMissing):
        exchange.get("there")


def test_delete_removes_and_does_not_mind_what_is_gone(exchange: Exchange) -> None:
    exchange.put("a/b", b"x")
    exchange.put("a/c", b"y")

    exchange.delete("a/b")
    exchange.delete("a/b")

    assert exchange.size("a/b") is None
    assert exchange.get("a/c") == b"y"
    assert exchange.create("a/b", b"again") is True


def test_create_takes_a_free_key_and_leaves_a_taken_one_alone(exchange: Exchange) -> None:
    assert exchange.create("m", b"first") is True
    assert exchange.create("m", b"second") is False
    assert exchange.create("m", b"first") is False
    assert exchange.get("m") == b"first"

    exchange.put("p", b"put")
    assert exchange.create("p", b"created") is False
    assert exchange.get("p") == b"put"


def test_of_twelve_threads_one_creates(exchange: Exchange) -> None:
    # SeaweedFS lets those who lose wait for its lock, which it looks at once a second: 2 s a round.
    for number in range(4):
        barrier = threading.Barrier(12)

        def racer(data: bytes, key: str = f"race/{number}", barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return exchange.create(key, data)

        payloads = [f"racer {racer_number}".encode() * 50 for racer_number in range(12)]
        with ThreadPoolExecutor(12) as pool:
            won = list(pool.map(racer, payloads))

        assert won.count(True) == 1
        assert exchange.get(f"race/{number}") == payloads[won.index(True)]


def test_of_four_processes_with_three_threads_each_one_creates(environment: Mapping[str, str]) -> None:
    winners = race(environment, processes=4, threads=3, rounds=4)

    exchange = open_exchange(Settings.from_env(environment))
    assert [len(won) for won in winners] == [1] * 4
    assert [exchange.get(f"race/{number}") for number in range(4)] == [won[0] for won in winners]


@pytest.mark.parametrize(
    "size", [0, 1, UPLOAD_BYTES, UPLOAD_BYTES + 1, 2 * UPLOAD_BYTES, 3 * UPLOAD_BYTES + 7]
)
def test_upload_stores_what_the_chunks_hold(exchange: Exchange, size: int) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    step = 1_000_003  # chunks that end nowhere near the pieces of a multipart upload

    uploaded = exchange.upload("upload", (data[start : start + step] for start in range(0, size, step)))

    assert uploaded == size
    assert exchange.size("upload") == size
    assert exchange.get("upload") == data


def test_upload_takes_chunks_of_nothing(exchange: Exchange) -> None:
    assert exchange.upload("upload", [b"", b"a", b"", b"b"]) == 2
    assert exchange.get("upload") == b"ab"


@pytest.mark.parametrize("before", [1, 3 * UPLOAD_BYTES // MiB])
def test_an_upload_whose_source_fails_leaves_nothing(exchange: Exchange, before: int) -> None:
    """The source's own exception comes out, even one that a store might have raised."""

    def source() -> Iterator[bytes]:
        for _ in range(before):
            yield bytes(MiB)
        raise FileNotFoundError("the source went away")

    with pytest.raises(FileNotFoundError, match="the source went away"):
        exchange.upload("upload", source())

    assert exchange.size("upload") is None


def test_a_failed_upload_leaves_the_older_object(exchange: Exchange) -> None:
    exchange.put("upload", b"older")

    def source() -> Iterator[bytes]:
        yield bytes(UPLOAD_BYTES + 1)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        exchange.upload("upload", source())

    assert exchange.get("upload") == b"older"


def test_a_large_object_travels_in_little_memory(environment: Mapping[str, str]) -> None:
    streamed, memory = in_process(memory_of_large_objects, environment, 160)

    assert streamed == 160 * MiB
    assert memory < 56 * MiB


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000, 4096])
def test_stream_gives_pieces_of_the_size_asked_for(exchange: Exchange, chunk_bytes: int) -> None:
    data = bytes(range(256))[:100] if chunk_bytes < 1000 else bytes(range(256)) * 16
    exchange.put("s", data)

    pieces = list(exchange.stream("s", chunk_bytes))

    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces[:-1]} <= {chunk_bytes}


ODD_KEYS = (
    "a b",
    "a%20b",
    "a+b",
    "ü/é.parquet",
    "日本語",
    "q?x=1&y=2#z",
    "50%",
    "%2e%2e",
    "a~b!c*d'e(f)",
    '"quoted"',
    "<tag>",
    "semi;colon,comma",
    "x" * 255,
    "/".join(["d" * 100] * 9),
    "ends.",
    "two..dots",
    "UPPER",
    "name=value",
    "labs/701/20260105T000000Z-20260106T000000Z/g3/extract/manifest.json",
)


def test_odd_keys_name_different_objects(exchange: Exchange) -> None:
    for key in ODD_KEYS:
        exchange.put(key, key.encode())

    assert {key: exchange.get(key) for key in ODD_KEYS} == {key: key.encode() for key in ODD_KEYS}
    assert [exchange.size(key) for key in ODD_KEYS] == [len(key.encode()) for key in ODD_KEYS]


ESCAPES = (
    "",
    ".",
    "..",
    "../up",
    "a/../../up",
    "a/./b",
    "/absolute",
    "a//b",
    "a/",
    "a\\..\\b",
    "line\nbreak",
    "nul\x00",
    ".hidden",
    f"{UNFINISHED}/x",
    "x" * 256,
    "/".join(["d" * 100] * 10),
    "\ud800" * 400,
)


@pytest.mark.parametrize("key", ESCAPES)
def test_a_key_that_could_mean_another_place_is_refused(
    exchange: Exchange, environment: Mapping[str, str], key: str, tmp_path: Path
) -> None:
    for use in (
        lambda: exchange.put(key, b"x"),
        lambda: exchange.create(key, b"x"),
        lambda: exchange.upload(key, [b"x"]),
        lambda: exchange.upload(key, [bytes(UPLOAD_BYTES + 1)]),
        lambda: exchange.get(key),
        lambda: next(exchange.stream(key)),
        lambda: exchange.size(key),
        lambda: exchange.delete(key),
    ):
        with pytest.raises(DefinitionError, match="cannot be an object's key"):
            use()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_exchange_says_where_it_is_and_nothing_secret(
    exchange: Exchange, environment: Mapping[str, str]
) -> None:
    assert exchange.url == environment["HAULIER_EXCHANGE"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        if name in environment:
            assert environment[name] not in f"{exchange.url} {exchange!r}"


def test_two_prefixes_do_not_see_each_other(environment: Mapping[str, str]) -> None:
    one, other = (
        open_exchange(
            Settings.from_env({**environment, "HAULIER_EXCHANGE": f"{environment['HAULIER_EXCHANGE']}/{x}"})
        )
        for x in ("one", "other")
    )

    one.put("a", b"1")

    assert other.size("a") is None
    assert open_exchange(Settings.from_env(environment)).get("one/a") == b"1"


class TestFolder:
    """What only a folder can get wrong."""

    def test_nothing_unfinished_stays_behind(self, tmp_path: Path) -> None:
        exchange = FolderExchange(tmp_path)

        def source() -> Iterator[bytes]:
            yield b"x"
            raise OSError("source")

        exchange.put("a", b"1")
        exchange.create("a", b"2")
        with pytest.raises(OSError, match="source"):
            exchange.upload("b", source())

        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]

    def test_an_object_under_way_is_not_there_yet(self, tmp_path: Path) -> None:
        exchange = FolderExchange(tmp_path)
        seen: list[int | None] = []

        def source() -> Iterator[bytes]:
            yield bytes(MiB)
            seen.append(exchange.size("b"))
            yield bytes(MiB)

        exchange.upload("b", source())

        assert seen == [None]
        assert exchange.size("b") == 2 * MiB

    def test_a_relative_folder_stays_where_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        exchange = open_exchange(Settings(exchange="file://here"))
        monkeypatch.chdir("/")

        exchange.put("a", b"1")

        assert (tmp_path / "here" / "a").read_bytes() == b"1"

    def test_a_file_where_a_folder_must_be_is_a_wrong_setting(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")

        with pytest.raises(DefinitionError, match="HAULIER_EXCHANGE"):
            FolderExchange(tmp_path / "file" / "exchange").put("a", b"1")

    def test_no_folder_is_a_wrong_setting(self) -> None:
        with pytest.raises(DefinitionError, match="file://folder"):
            open_exchange(Settings(exchange="file://"))

    def test_what_is_written_is_on_the_disk_before_it_has_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Data first, then the name, then the folder that holds it."""
        from haulier.exchange import folder

        done: list[str] = []

        def noted(name: str, do: Callable[..., object], *arguments: object) -> object:
            done.append(name)
            return do(*arguments)

        for name in ("fsync", "link", "replace"):
            monkeypatch.setattr(folder.os, name, partial(noted, name, getattr(folder.os, name)))
        exchange = FolderExchange(tmp_path)
        exchange.put("first", b"")
        done.clear()

        exchange.create("a", b"1")
        exchange.put("b", b"1")

        assert done == ["fsync", "link", "fsync", "fsync", "replace", "fsync"]


def test_another_scheme_is_a_wrong_setting() -> None:
    with pytest.raises(DefinitionError, match=r"HAULIER_EXCHANGE.*neither s3"):
        open_exchange(Settings(exchange="gs://bucket/prefix"))
