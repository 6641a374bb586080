"""Compressed files are unpacked as they stream, whole or not at all."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulier import compression
from haulier.compression import BrokenStream, decompressed
from haulier.definitions.formats import Csv, JsonLines, Packed, Text
from haulier.errors import DataError, TransientError

TEXT = b"id,name\n" + b"".join(b"%d,somebody\n" % n for n in range(5000))


CSV = Csv()


def unpacked(data: bytes, name: str, size: int = 1000, form: Text = CSV) -> bytes:
    return b"".join(decompressed((data[i : i + size] for i in range(0, len(data), size)), name, form))


def zipped(
    *members: tuple[str, bytes],
    method: int = zipfile.ZIP_DEFLATED,
    streamed: bool = False,
    remark: bytes = b"",
) -> bytes:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

    stream = Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.comment = remark
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped(("labs.csv", TEXT)))
    data[6] |= 1
    return bytes(data)


def zstandard(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


PACKED = {
    "plain.csv": TEXT,
    "one.csv.gz": gzip.compress(TEXT),
    "UPPER.CSV.GZ": gzip.compress(TEXT),
    "members.csv.gz": gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
    "padded.csv.gz": gzip.compress(TEXT) + bytes(5000),
    "blocks.csv.gz": gzip.compress(TEXT[:1000]) + bytes(300) + gzip.compress(TEXT[1000:]),
    "one.csv.zst": zstandard(TEXT),
    "frames.csv.zst": zstandard(TEXT[:1000]) + zstandard(TEXT[1000:]),
    "one.zip": zipped(("labs.csv", TEXT)),
    "stored.zip": zipped(("labs.csv", TEXT), method=zipfile.ZIP_STORED),
    "streamed.zip": zipped(("labs.csv", TEXT), streamed=True),
    "folder.zip": zipped(("out/", b""), ("out/labs.csv", TEXT)),
    "remark.zip": zipped(("labs.csv", TEXT), remark=b"from site 701"),
    "mac.zip": zipped(("labs.csv", TEXT), ("__MACOSX/._labs.csv", b"resource")),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_the_text_comes_out_whatever_the_wrapping(name: str, size: int) -> None:
    assert unpacked(PACKED[name], name, size) == TEXT


@pytest.mark.parametrize(
    "name", [name for name in PACKED if name not in ("plain.csv", "padded.csv.gz", "blocks.csv.gz")]
)
def test_a_file_cut_anywhere_is_noticed(name: str) -> None:
    data = PACKED[name]
    for length in {
        0,
        1,
        3,
        10,
        29,
        60,
        len(data) // 2,
        len(data) - 30,
        len(data) - 22,
        len(data) - 3,
        len(data) - 1,
    }:
        if data[:length] in (gzip.compress(TEXT[:1000]), zstandard(TEXT[:1000])):
            continue
        with pytest.raises(BrokenStream, match=name):
            unpacked(data[:length], name)


@given(at=st.integers(min_value=0, max_value=len(PACKED["one.csv.gz"]) - 1))
@settings(deadline=None)
def test_a_damaged_byte_never_changes_the_text_unnoticed(at: int) -> None:
    for name in ("one.csv.gz", "one.zip"):
        data = bytearray(PACKED[name])
        data[at % len(data)] ^= 0x41
        with contextlib.suppress(DataError):
            assert unpacked(bytes(data), name) == TEXT


def test_a_checksum_that_does_not_match_is_noticed() -> None:
    stored = PACKED["stored.zip"].replace(b"17,somebody", b"17,nobody!!")

    with pytest.raises(BrokenStream, match="its checksum does not match"):
        unpacked(stored, "stored.zip")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("two.zip", zipped(("a.csv", TEXT), ("b.csv", TEXT)), "holds more than one file"),
        ("none.zip", zipped(), "holds no file"),
        ("secret.zip", encrypted(), "is encrypted"),
        ("lzma.zip", zipped(("a.csv", TEXT), method=zipfile.ZIP_LZMA), "method 14"),
    ],
)
def test_an_archive_that_cannot_be_taken_says_why(name: str, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=f"{name} .*{message}") as raised:
        unpacked(data, name)
    assert not isinstance(raised.value, BrokenStream)  # waiting would not help


def test_something_else_under_the_name_of_an_archive_is_damaged() -> None:
    with pytest.raises(BrokenStream, match="cannot be unpacked"):
        unpacked(TEXT, "labs.csv.gz")
    with pytest.raises(BrokenStream, match="cannot be unpacked"):
        unpacked(TEXT, "labs.csv.zst")
    with pytest.raises(BrokenStream, match="no zip archive"):
        unpacked(TEXT, "labs.zip")


@pytest.mark.parametrize("name", ["bomb.gz", "bomb.zst"])
@pytest.mark.parametrize(
    ("packed", "most", "said"),
    [
        (Packed(ratio_from_bytes=1 << 22), 1 << 22, r"packed.ratio \(200\)"),
        (Packed(bytes=1 << 21), 1 << 21, r"packed.bytes \(2097152\)"),
    ],
)
def test_a_bomb_is_stopped_where_the_definition_says(name: str, packed: Packed, most: int, said: str) -> None:
    bomb = (gzip.compress if name.endswith("gz") else zstandard)(bytes(1 << 26))
    given: list[int] = []

    with pytest.raises(DataError, match=f"{name} grows to more bytes than source.csv.{said}"):
        given.extend(len(piece) for piece in decompressed([bomb], name, Csv(packed=packed)))

    assert sum(given) <= max(most, len(bomb) * packed.ratio)


def test_ordinary_growth_is_no_bomb() -> None:
    assert unpacked(PACKED["one.csv.gz"], "one.csv.gz", form=Csv(packed=Packed(ratio_from_bytes=0))) == TEXT


def test_an_archive_may_not_have_more_entries_than_the_definition_says() -> None:
    archive = zipped(*((f"folder {at}/", b"") for at in range(5)), ("a.csv", TEXT))

    assert unpacked(archive, "a.zip", form=Csv(packed=Packed(entries=6))) == TEXT
    with pytest.raises(DataError, match=r"more files in it than source.jsonl.packed.entries \(5\)"):
        unpacked(archive, "a.zip", form=JsonLines(packed=Packed(entries=5)))


def test_pieces_stay_small_however_much_comes_out_of_a_chunk() -> None:
    for name, packed in (
        ("zeros.gz", gzip.compress(bytes(1 << 25))),
        ("zeros.zst", zstandard(bytes(1 << 25))),
    ):
        pieces = [len(piece) for piece in decompressed([packed], name, Csv())]

        assert sum(pieces) == 1 << 25
        assert max(pieces) <= compression.PIECE_BYTES


def test_what_the_source_raises_is_raised_as_it_is() -> None:
    def broken() -> Iterator[bytes]:
        yield zstandard(TEXT)[:50]
        raise TransientError("the store went away")

    with pytest.raises(TransientError, match="the store went away"):
        b"".join(decompressed(broken(), "labs.csv.zst", Csv()))


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_what_the_unpacker_still_holds_comes_out_before_more_goes_in(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "PIECE_BYTES", piece)

    assert unpacked(gzip.compress(bytes(3000)), "zeros.gz", size=1 << 20) == bytes(3000)
    assert unpacked(gzip.compress(bytes(3000)), "zeros.gz", size=1) == bytes(3000)
