"""A run takes the complete files of its interval; a file that may be half there waits."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from haulier.definitions import Instance
from haulier.definitions.formats import Csv, Footer
from haulier.definitions.sources import Files, Ready, Source
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_extract.sources import Found, find

DAY = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
ROWS = b"id,value\n1,2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(path: Path, data: bytes = ROWS, at: datetime = NOON) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    nanoseconds = round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000
    os.utime(path, ns=(nanoseconds, nanoseconds))
    return path


def look(
    folder: Path, path: str = "*.csv*", csv: Csv | None = None, interval: Interval = DAY, **options: Any
) -> Found:
    instance = Instance(
        pipeline="labs", instance="701", source=Source(files=Files(path=path, **options), csv=csv or Csv())
    )
    return find(instance, interval, Settings(source_root=folder))


def names(found: Found) -> list[str]:
    return [file.uri.removeprefix("file://") for file in found.files]


def test_a_file_is_told_by_its_place_its_bytes_and_its_time(folder: Path) -> None:
    at = NOON + timedelta(microseconds=123457)
    put(folder / "701" / "labs ä.csv", at=at)

    (file,) = look(folder, "701/*.csv").files

    assert (file.uri, file.logical_name, file.bytes, file.modified_at) == (
        "file://701/labs ä.csv",
        "labs ä.csv",
        len(ROWS),
        at,
    )
    assert file.sha256 == hashlib.sha256(ROWS).hexdigest()


def test_the_place_is_the_same_wherever_the_folder_is_mounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for mount in ("here", "there"):
        put(tmp_path / mount / "labs.csv")
    monkeypatch.chdir(tmp_path)

    roots = [tmp_path / "here", tmp_path / "there", Path("here")]
    assert {look(root).files[0].uri for root in roots} == {"file://labs.csv"}
    assert look(tmp_path, f"{tmp_path}/here/*.csv").files[0].uri == "file://here/labs.csv"
    assert look(Path("here"), f"{tmp_path}/here/*.csv").files[0].uri == "file://labs.csv"
    assert (
        look(tmp_path / "there", f"{tmp_path}/here/*.csv").files[0].uri == f"file://{tmp_path}/here/labs.csv"
    )


def test_a_name_that_is_no_utf_8_is_shown_and_read(folder: Path) -> None:
    put(folder / os.fsdecode(b"labs_\xb5.csv"))

    (file,) = look(folder).files

    assert (file.uri, file.logical_name) == (r"file://labs_\xb5.csv", r"labs_\xb5.csv")
    assert b"".join(file.open()) == ROWS


@pytest.mark.parametrize(
    ("template", "name"), [("{name}", "a.csv"), ("{path}", "701/a.csv"), ("labs {name}", "labs a.csv")]
)
def test_logical_names(folder: Path, template: str, name: str) -> None:
    put(folder / "701" / "a.csv")

    assert look(folder, "701/*.csv", logical_name=template).files[0].logical_name == name


def test_files_come_oldest_first(folder: Path) -> None:
    for name, hour in (("b.csv", 3), ("c.csv", 1), ("a.csv", 3)):
        put(folder / name, at=DAY.start + timedelta(hours=hour))

    assert names(look(folder)) == ["c.csv", "a.csv", "b.csv"]


class TestSelection:
    def test_by_time_of_modification(self, folder: Path) -> None:
        moments = {"before": DAY.start - timedelta(microseconds=1), "first": DAY.start}
        moments |= {"last": DAY.end - timedelta(microseconds=1), "after": DAY.end}
        for name, at in moments.items():
            put(folder / f"{name}.csv", at=at)

        assert names(look(folder)) == ["first.csv", "last.csv"]
        assert names(look(folder, look_back_days=1)) == ["before.csv", "first.csv", "last.csv"]

    def test_by_the_date_in_the_name(self, folder: Path) -> None:
        for day in (3, 4, 5, 6):
            put(folder / f"labs_2026-01-{day:02}.csv", at=NOON + timedelta(days=300))
        put(folder / "labs_2026-02-30.csv")
        path = "labs_{date:%Y-%m-%d}.csv"

        assert names(look(folder, path, select="name")) == ["labs_2026-01-05.csv"]
        assert len(look(folder, path, select="name", look_back_days=1).files) == 2
        assert look(folder, path, select="name").waiting == (
            "file://labs_2026-02-30.csv waits: the date in its name is no day of the calendar",
        )

    def test_folders_are_no_files(self, folder: Path) -> None:
        put(folder / "labs.csv" / "inner.txt")
        os.utime(folder / "labs.csv", (NOON.timestamp(), NOON.timestamp()))

        assert look(folder) == Found(files=())

    def test_the_source_folder_is_not_left(self, folder: Path) -> None:
        put(folder / "labs.csv")
        (folder / "inside").mkdir()

        with pytest.raises(DefinitionError, match=r"'\.\./\*\.csv' leaves the source folder"):
            look(folder / "inside", "../*.csv")

    def test_a_source_folder_that_is_not_there_is_no_empty_day(self, folder: Path) -> None:
        with pytest.raises(
            DefinitionError, match=r"HAULIER_SOURCE_ROOT: .*missing is not a folder; is it mounted"
        ):
            look(folder / "missing")

    def test_a_folder_nobody_has_sent_to_yet_is_an_empty_day(self, folder: Path) -> None:
        assert look(folder, "799/*.csv") == Found(files=())

    def test_a_file_that_cannot_be_read_is_tried_again(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = put(folder / "labs.csv")

        def refuse(_: Path) -> Any:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("haulier_extract.sources.stores.folder.file_chunks", refuse)

        with pytest.raises(TransientError, match=f"{path} cannot be read: Input/output error"):
            look(folder)


class TestReadiness:
    @pytest.mark.parametrize("half", [b"id,value\n1,2", b"id,value\n1,2\n3", b"id"])
    def test_a_last_line_without_end_waits(self, folder: Path, half: bytes) -> None:
        put(folder / "labs.csv", half)

        (why,) = look(folder).waiting

        assert look(folder).files == ()
        assert why.startswith("file://labs.csv waits: its last line has no end; ")
        assert names(look(folder, ready=Ready(last_line="any"))) == ["labs.csv"]

    @pytest.mark.parametrize("whole", [b"", b"id\n", b"id\r\n1\r\n", b"id\r1\r"])
    def test_any_line_end_ends_it(self, folder: Path, whole: bytes) -> None:
        put(folder / "labs.csv", whole)

        assert names(look(folder)) == ["labs.csv"]

    def test_a_last_line_is_seen_in_any_encoding_and_wrapping(self, folder: Path) -> None:
        whole, half = "id,µ\n1,2\n".encode("utf-16"), "id,µ\n1,2".encode("utf-16")
        put(folder / "half.csv", half)
        put(folder / "odd.csv", whole[:-1])
        put(folder / "whole.csv", whole)
        put(folder / "half.csv.gz", gzip.compress(half))
        put(folder / "whole.csv.gz", gzip.compress(whole))

        found = look(folder, csv=Csv(encoding="utf-16"))

        assert names(found) == ["whole.csv", "whole.csv.gz"]
        assert len(found.waiting) == 3

    def test_half_a_compressed_file_waits(self, folder: Path) -> None:
        put(folder / "labs.csv.gz", gzip.compress(ROWS)[:-5])

        assert look(folder).files == ()
        assert "labs.csv.gz is truncated" in look(folder).waiting[0]

    def test_a_file_that_is_written_to_while_it_is_read_waits(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = put(folder / "labs.csv")

        def grow(path: Path) -> Any:
            yield path.read_bytes()
            path.write_bytes(ROWS + b"3,4\n")

        monkeypatch.setattr("haulier_extract.sources.stores.folder.file_chunks", grow)

        assert look(folder).waiting == (f"file://{path.name} waits: it was written to while it was read",)

    def test_a_file_that_vanishes_waits(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put(folder / "labs.csv")
        monkeypatch.setattr(
            "haulier_extract.sources.stores.folder.file_chunks",
            lambda path: (path.unlink(), path.read_bytes()),
        )

        assert look(folder).waiting == ("file://labs.csv waits: it vanished while it was looked at",)

    def test_a_marker_is_waited_for_and_is_no_delivery_itself(self, folder: Path) -> None:
        put(folder / "labs.csv")
        ready = Ready(marker="{name}.done")
        assert look(folder, ready=ready).waiting == (
            "file://labs.csv waits: its marker labs.csv.done is not there",
        )

        put(folder / "labs.csv.done", b"")
        put(folder / "taken away.csv.done", b"")

        assert names(look(folder, ready=ready)) == ["labs.csv"]
        assert look(folder, ready=ready).waiting == ()

    def test_a_file_that_is_its_own_marker_is_delivered(self, folder: Path) -> None:
        put(folder / "labs.csv")

        assert names(look(folder, ready=Ready(marker="{name}"))) == ["labs.csv"]

    def test_one_marker_for_a_whole_folder(self, folder: Path) -> None:
        for name in ("a.csv", "b.csv", "complete.csv"):
            put(folder / name)

        assert names(look(folder, ready=Ready(marker="complete.csv"))) == ["a.csv", "b.csv"]

    def test_a_file_arrives_with_its_marker_however_old_it_is(self, folder: Path) -> None:
        """Otherwise a file whose marker comes after midnight would belong to no run at all."""
        put(folder / "labs.csv", at=NOON - timedelta(days=3))
        put(folder / "labs.csv.done", b"", at=NOON)

        (file,) = look(folder, ready=Ready(marker="{name}.done")).files

        assert file.modified_at == NOON - timedelta(days=3)

    def test_a_file_rests_before_it_is_taken(self, folder: Path) -> None:
        now = datetime.fromtimestamp(time.time(), UTC)
        today = Interval(start=now - timedelta(days=1), end=now + timedelta(days=1))
        put(folder / "labs.csv", at=now - timedelta(seconds=30))

        assert look(folder, interval=today, ready=Ready(quiet_seconds=60)).waiting == (
            "file://labs.csv waits: it was modified less than 60 seconds ago",
        )
        assert names(look(folder, interval=today, ready=Ready(quiet_seconds=10))) == ["labs.csv"]

    def test_what_rested_over_midnight_is_the_next_runs(self, folder: Path) -> None:
        """The run of its day may have looked too early, and a file may not fall between two runs."""
        put(folder / "labs.csv", at=DAY.start - timedelta(seconds=59))
        put(folder / "older.csv", at=DAY.start - timedelta(seconds=61))

        assert names(look(folder, ready=Ready(quiet_seconds=60))) == ["labs.csv"]

    def test_a_file_that_must_say_how_many_rows_it_has_waits_until_it_does(self, folder: Path) -> None:
        csv = Csv(footer=Footer(pattern=r"Total: (\d+)"))
        put(folder / "half.csv")
        put(folder / "whole.csv", ROWS + b"Total: 1\n\n")
        put(folder / "wrong.csv", ROWS + b"Total: 9\n")

        found = look(folder, csv=csv)

        assert names(found) == ["whole.csv", "wrong.csv"]  # what it claims is judged when it is read
        assert found.waiting == ("file://half.csv waits: no last line matches csv.footer.pattern yet",)

    def test_the_byte_order_mark_of_another_encoding_stops_before_anything_is_kept(
        self, folder: Path
    ) -> None:
        put(folder / "labs.csv", b"\xff\xfei\0d\0\n\0")

        with pytest.raises(DataError, match=r"file://labs\.csv begins with the byte order mark of utf-16"):
            look(folder)

    def test_one_that_waits_does_not_hold_up_the_others(self, folder: Path) -> None:
        put(folder / "half.csv", b"id\n1")
        put(folder / "labs.csv")

        found = look(folder)

        assert (names(found), len(found.waiting)) == (["labs.csv"], 1)
