"""Paths with wildcards find the files they mean, and the date in a name."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from haulier.paths import PathPattern

TREE = [
    "labs_2026-01-05.csv",
    "labs_2026-1-6.csv",
    "labs_2026-01-05.csv.gz",
    "labs_20260105.csv",
    "labs_2026115.csv",
    "labs_2026-13-40.csv",
    "labs_final.csv",
    ".labs_2026-01-05.csv.rsync",
    "a[1].csv",
    "b+c.csv",
    "701/labs_2026-01-05.csv",
    "701/old/labs_2026-01-04.csv",
    "702/labs_2026-01-05.csv",
    ".hidden/labs_2026-01-05.csv",
    "2026/01/05.csv",
    "05Jan2026.csv",
    "vs_2026-01-05T2315.csv",
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(tree: Path, pattern: str) -> list[str]:
    return [path.relative_to(tree).as_posix() for path, _ in PathPattern(pattern).paths(tree)]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("labs_final.csv", ["labs_final.csv"]),
        ("./labs_final.csv", ["labs_final.csv"]),
        ("nothing.csv", []),
        ("nothing/*.csv", []),
        ("labs_final.csv/*", []),
        ("a*.csv", ["a[1].csv"]),
        ("a?1?.csv", ["a[1].csv"]),
        ("b+c.csv", ["b+c.csv"]),
        ("b+*", ["b+c.csv"]),
        ("[ab]*.csv", ["a[1].csv", "b+c.csv"]),
        ("[!a0-9l]*.csv", ["b+c.csv", "vs_2026-01-05T2315.csv"]),
        ("*rsync", []),
        (".labs*rsync", [".labs_2026-01-05.csv.rsync"]),
        ("70?/labs*.csv", ["701/labs_2026-01-05.csv", "702/labs_2026-01-05.csv"]),
        ("701/**/*.csv", ["701/labs_2026-01-05.csv", "701/old/labs_2026-01-04.csv"]),
        (
            "**/labs_2026-01-05.csv",
            ["labs_2026-01-05.csv", "701/labs_2026-01-05.csv", "702/labs_2026-01-05.csv"],
        ),
        ("**/labs_2026-01-04.csv", ["701/old/labs_2026-01-04.csv"]),
    ],
)
def test_wildcards_reach_what_they_should(tree: Path, pattern: str, names: list[str]) -> None:
    assert found(tree, pattern) == names


@pytest.mark.parametrize(
    ("pattern", "dates"),
    [
        (
            "labs_{date:%Y-%m-%d}.csv",
            {"labs_2026-01-05.csv": (5, 0), "labs_2026-1-6.csv": (6, 0), "labs_2026-13-40.csv": None},
        ),
        ("labs_{date:%Y-%m-%d}*.gz", {"labs_2026-01-05.csv.gz": (5, 0)}),
        ("labs_{date:%Y%m%d}.csv", {"labs_20260105.csv": (5, 0)}),
        ("{date:%Y}/{date:%m}/{date:%d}.csv", {"2026/01/05.csv": (5, 0)}),
        ("{date:%d%b%Y}.csv", {"05Jan2026.csv": (5, 0)}),
        ("vs_{date:%Y-%m-%dT%H%M}.csv", {"vs_2026-01-05T2315.csv": (5, 23)}),
        (
            "labs_{date:iso}.csv",
            {"labs_2026-01-05.csv": (5, 0), "labs_20260105.csv": (5, 0), "labs_2026-13-40.csv": None},
        ),
    ],
)
def test_dates_are_read_from_names_and_folders(
    tree: Path, pattern: str, dates: dict[str, tuple[int, int] | None]
) -> None:
    compiled = PathPattern(pattern)
    read = {path.relative_to(tree).as_posix(): compiled.date(text) for path, text in compiled.paths(tree)}

    expected = {
        name: day and datetime(2026, 1, day[0], day[1], 15 if day[1] else 0, tzinfo=UTC)
        for name, day in dates.items()
    }
    assert read == expected


def test_a_date_with_an_offset_is_that_instant() -> None:
    assert PathPattern("{date:%Y%m%d%H%z}").date("2026010600+0200") == datetime(2026, 1, 5, 22, tzinfo=UTC)


def test_links_in_a_circle_do_not_keep_it_walking(tree: Path) -> None:
    (tree / "701" / "loop").symlink_to(tree / "701")

    assert found(tree, "701/**/labs*.csv") == ["701/labs_2026-01-05.csv", "701/old/labs_2026-01-04.csv"]


def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)  # a mode would not keep root out

    with pytest.raises(PermissionError):
        found(tree, "701/*.csv")


@pytest.mark.parametrize(
    ("pattern", "path", "date"),
    [
        ("*.csv", "a.csv", ""),
        ("*.csv", "a/b.csv", None),
        ("*.csv", ".a.csv", None),
        ("**/*.csv", "a.csv", ""),
        ("**/*.csv", "a/b/c.csv", ""),
        ("**/*.csv", "a/.b/c.csv", None),
        ("in/**", "in/a/b", ""),
        ("in/{date:%Y}/x_{date:%m-%d}.csv", "in/2026/x_01-05.csv", "2026\x0001-05"),
        ("in/[ab]?.csv", "in/ax.csv", ""),
        ("in/a.csv", "in/a.csv/b", None),
        ("a+b/*.csv", "aab/x.csv", None),
    ],
)
def test_a_path_alone_is_matched_as_a_folder_would_be(pattern: str, path: str, date: str | None) -> None:
    assert PathPattern(pattern).match(path) == date


@pytest.mark.parametrize(
    ("pattern", "folder"),
    [
        ("in/labs_*.csv", "in"),
        ("in/**/x", "in"),
        ("in/b/a.csv", "in/b"),
        ("*", ""),
        ("{date:%Y}/x", ""),
        ("a", ""),
    ],
)
def test_the_folder_that_every_match_lies_in_is_known(pattern: str, folder: str) -> None:
    assert PathPattern(pattern).folder() == folder
