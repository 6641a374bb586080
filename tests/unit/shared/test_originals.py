"""Originals are kept byte for byte, and believed only when their digest is right."""

from __future__ import annotations

import gzip
import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from support.memory import MemoryExchange

from haulier import originals
from haulier.definitions.formats import Csv
from haulier.errors import DataError
from haulier.exchange.folder import FolderExchange
from haulier.manifest import Delivery
from haulier.originals import VerbatimRows, keep, open_original, text_chunks
from haulier_extract.sources.stores import folder
from haulier_extract.sources.stores.folder import file_chunks


def delivery(data: bytes, uri: str = "file://labs.csv") -> Delivery:
    digest = hashlib.sha256(data).hexdigest()
    return Delivery(
        delivery_id=1,
        logical_name="labs.csv",
        sequence=1,
        sha256=digest,
        bytes=len(data),
        uri=uri,
        modified_at=datetime(2026, 1, 5, tzinfo=UTC),
        original=f"labs/701/originals/{digest}",
    )


def kept(data: bytes, uri: str = "file://labs.csv") -> tuple[MemoryExchange, Delivery]:
    exchange, arrived = MemoryExchange(), delivery(data, uri)
    exchange.objects[arrived.original] = data
    return exchange, arrived


@pytest.mark.parametrize("size", [0, 10, 3 * folder.CHUNK_BYTES + 5])
@pytest.mark.requirement("R-04")
def test_a_file_is_kept_byte_for_byte(tmp_path: Path, size: int) -> None:
    exchange, path, data = FolderExchange(tmp_path / "exchange"), tmp_path / "labs.csv", bytes(range(256))
    data = (data * (size // 256 + 1))[:size]
    path.write_bytes(data)
    arrived = delivery(data)

    assert keep(exchange, arrived.original, partial(file_chunks, path), sha256=arrived.sha256, size=size)

    assert exchange.get(arrived.original) == data
    assert b"".join(open_original(exchange, arrived)) == data


@pytest.mark.requirement("R-04")
def test_what_is_kept_already_is_not_sent_again(tmp_path: Path) -> None:
    exchange, arrived = kept(b"id\n1\n")
    path = tmp_path / "labs.csv"
    path.write_bytes(b"id\n1\n")

    assert keep(exchange, arrived.original, partial(file_chunks, path), sha256=arrived.sha256, size=5)

    assert [method for method, _ in exchange.calls] == ["size"]


def test_half_an_original_is_sent_again(tmp_path: Path) -> None:
    exchange, arrived = kept(b"id\n1\n")
    exchange.objects[arrived.original] = b"id"
    path = tmp_path / "labs.csv"
    path.write_bytes(b"id\n1\n")

    assert keep(exchange, arrived.original, partial(file_chunks, path), sha256=arrived.sha256, size=5)

    assert exchange.objects[arrived.original] == b"id\n1\n"


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_file_that_changed_since_it_was_digested_is_not_kept(
    tmp_path: Path, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "CHUNK_BYTES", 10)
    exchange, path = FolderExchange(tmp_path / "exchange"), tmp_path / "labs.csv"
    before = b"id\n1\n2\n3\n4\n" * chunks
    path.write_bytes(before.replace(b"4", b"5"))
    arrived = delivery(before)

    assert not keep(
        exchange, arrived.original, partial(file_chunks, path), sha256=arrived.sha256, size=len(before)
    )

    assert exchange.size(arrived.original) is None


@pytest.mark.requirement("R-04")
def test_an_original_that_was_changed_in_the_exchange_is_not_believed() -> None:
    exchange, arrived = kept(b"id\n1\n")
    exchange.objects[arrived.original] = b"id\n2\n"

    with pytest.raises(DataError, match=r"originals/.* is not the file that arrived as file://labs.csv"):
        list(open_original(exchange, arrived))


def test_text_is_unpacked_and_its_digest_checked_to_the_last_byte() -> None:
    packed = gzip.compress(b"id\n1\n")
    exchange, arrived = kept(packed, "file://labs.csv.gz")
    assert b"".join(text_chunks(exchange, arrived, Csv())) == b"id\n1\n"

    exchange.objects[arrived.original] = packed + bytes(3)  # padding that gzip would not mind

    with pytest.raises(DataError, match="is not the file that arrived"):
        list(text_chunks(exchange, arrived, Csv()))


def test_rows_are_given_as_they_arrived() -> None:
    exchange, arrived = kept(b'\xef\xbb\xbfid,note\r\n1,"a\r\nb"\r\n\r\n2,\x92"" \r\n')
    rows = VerbatimRows(exchange, arrived, Csv(encoding="utf-8"))

    assert rows.take([1, 2]) == [b"id,note", b'1,"a\r\nb"']
    assert rows.take([]) == []
    assert rows.take([3, 4]) == [b"", b'2,\x92"" ']


def test_rows_are_found_across_blocks_and_read_no_further_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b"%07d,%s\n" % (n, b"x" * 40) for n in range(1, 300_001))
    exchange, arrived = kept(data)
    pieces: list[int] = []

    def stream(key: str, chunk_bytes: int = 0) -> Iterator[bytes]:
        for start in range(0, len(data), 1 << 20):
            pieces.append(start)
            yield data[start : start + (1 << 20)]

    monkeypatch.setattr(exchange, "stream", stream)
    rows = VerbatimRows(exchange, arrived, Csv())

    assert [row[:7] for row in rows.take([1, 90_000, 90_001, 200_000])] == [
        b"0000001",
        b"0090000",
        b"0090001",
        b"0200000",
    ]
    assert pieces[-1] < len(data) * 0.9


def test_rows_are_shown_where_numpy_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange, file = kept(b'a,b\r\n1,"x\r\ny"\r\n2,z\r\n')
    monkeypatch.setattr(originals, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "haulier.records", None)

    assert VerbatimRows(exchange, file, Csv()).take([2, 3]) == [b'1,"x\r\ny"', b"2,z"]


def test_a_row_the_file_does_not_have_is_an_error_with_a_cause() -> None:
    exchange, arrived = kept(b"id\n1\n")

    with pytest.raises(DataError, match=r"file://labs\.csv has no row 3; has the csv section"):
        VerbatimRows(exchange, arrived, Csv()).take([2, 3])


def test_rows_behind_are_refused_rather_than_mistaken() -> None:
    data = b"".join(b"%07d,%s\n" % (n, b"x" * 40) for n in range(1, 200_001))
    rows = VerbatimRows(*kept(data), Csv())
    rows.take([200_000])

    with pytest.raises(ValueError, match="row 1 lies behind"):
        rows.take([1])
