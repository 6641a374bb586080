"""A sample is pointed at as people do, and all files like it are named as definitions do."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from haulier.errors import DefinitionError
from haulier.paths import PathPattern
from haulier_command.pointing import pointed_at


@pytest.mark.parametrize(
    ("name", "path", "day"),
    [
        ("orders_2026-01-05.csv", "orders_{date:%Y-%m-%d}.csv", date(2026, 1, 5)),
        ("orders_20260105.csv.gz", "orders_{date:%Y%m%d}.csv.gz", date(2026, 1, 5)),
        ("20260105T031500Z_orders.csv", "{date:%Y%m%d}*_orders.csv", date(2026, 1, 5)),
        ("05.01.2026 orders.csv", "{date:%d.%m.%Y} orders.csv", date(2026, 1, 5)),
        ("orders_20261305.csv", "orders_20261305.csv", None),
        ("orders_1234567890.csv", "orders_1234567890.csv", None),
        ("orders[1].csv", "orders[[]1].csv", None),
        ("orders.csv", "orders.csv", None),
    ],
)
def test_a_file_becomes_the_pattern_of_its_kind(
    tmp_path: Path, name: str, path: str, day: date | None
) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / name).touch()

    pointed = pointed_at(str(tmp_path / "inbox" / name), tmp_path)

    assert (pointed.path, pointed.date) == (f"inbox/{path}", day)
    assert PathPattern(pointed.path).match(f"inbox/{name}") is not None
    assert PathPattern(pointed.place).match(f"inbox/{name}") is not None


def test_a_path_is_written_from_the_source_folder_on_or_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, elsewhere = tmp_path / "landing", tmp_path / "elsewhere.csv"
    root.mkdir()
    (root / "one.csv").touch()
    elsewhere.touch()
    monkeypatch.chdir(tmp_path)

    assert pointed_at("landing/one.csv", Path("landing")).path == "one.csv"
    assert pointed_at("one.csv", Path("landing")).path == "one.csv", "as the definition says it"
    assert pointed_at("landing/*.csv", Path("landing")).path == "*.csv"
    assert pointed_at("elsewhere.csv", Path("landing")).path == str(elsewhere)


def test_addresses_and_patterns_stay_what_they_are() -> None:
    assert pointed_at("s3://exports/labs_*.csv", Path()).path == "s3://exports/labs_*.csv"
    assert pointed_at("https://x.example/api/orders", Path()).path == "https://x.example/api/orders"
    dated = pointed_at("https://x.example/labs_2026-01-05.csv", Path())
    assert (dated.place, dated.path) == (
        "https://x.example/labs_2026-01-05.csv",
        "https://x.example/labs_{date:%Y-%m-%d}.csv",
    )


def test_what_is_not_there_or_cannot_be_named_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"there is no file 'none.csv'"):
        pointed_at("none.csv", tmp_path)
    (tmp_path / "a{b}.csv").touch()
    with pytest.raises(DefinitionError, match="brace"):
        pointed_at("a{b}.csv", tmp_path)
