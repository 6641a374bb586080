"""What extract does with files that arrive, against a real ledger and a real object store."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.databases import Database
from support.extracting import ROWS, Site
from support.steps import run_cold
from support.things import day
from support.workbooks import inline, row, workbook

from haulier.errors import DataError, DefinitionError
from haulier.parts import read_part, row_groups
from haulier.rows import DELIVERY, ROW
from haulier_extract import step
from haulier_extract.reserving import reserved


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Site:
    made = Site.made(database, exchange_environment, tmp_path)
    made.define()
    return made


def test_a_file_is_kept_reserved_and_handed_on_as_text(site: Site) -> None:
    site.send("a.csv", b"thing,price\nNA,01.50\n,\nragged\n\n")

    outcome = site.extract()

    assert (outcome.outcome, outcome.exit_code, outcome.generation, outcome.content) == ("sealed", 0, 1, "g1")
    manifest = site.manifest()
    (delivery,) = manifest.deliveries
    assert site.exchange.get(delivery.original) == b"thing,price\nNA,01.50\n,\nragged\n\n"
    assert site.database.rows(
        "SELECT logical_name, sequence, sha256, uri, disposition FROM haulier.delivery"
    ) == [
        (
            "a.csv",
            1,
            hashlib.sha256(b"thing,price\nNA,01.50\n,\nragged\n\n").hexdigest(),
            "file://one/a.csv",
            "reserved",
        )
    ]
    assert site.rows() == [(0, 2, "NA", "01.50"), (0, 3, None, None)]
    (account,) = manifest.accounts
    assert (account.read, account.accepted, account.rejected, account.stripped) == (4, 2, 1, 1)
    assert manifest.rules == {"ragged": 1}
    (reject,) = [row for table in row_groups(site.exchange, manifest.rejects) for row in table.to_pylist()]
    assert (reject[DELIVERY], reject[ROW], reject["verbatim"]) == (0, 4, b"ragged")
    assert (manifest.definition.pipeline, manifest.contract.target) == ("things", "shop.things")
    assert outcome.counts["rejected"] == 1
    assert outcome.manifest == "things/one/20260105T000000Z-20260106T000000Z/g1/extract/manifest.json"


def test_another_attempt_adopts_what_was_sealed_and_reads_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.send("a.csv")
    site.extract()
    sealed = site.manifest()
    monkeypatch.setattr(step, "module_of", lambda *_: pytest.fail("it was read again"))

    outcome = site.extract()

    assert (outcome.outcome, outcome.exit_code, outcome.generation) == ("already done", 0, 1)
    assert site.manifest() == sealed
    assert site.count("delivery") == 1


def test_every_attempt_reads_what_was_reserved_whatever_became_of_the_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.send("a.csv")
    with monkeypatch.context() as broken:
        broken.setattr(step, "seal", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            site.extract()
    path.unlink()

    outcome = site.extract()

    assert (outcome.outcome, outcome.generation) == ("sealed", 1)
    assert [row[2] for row in site.rows()] == ["one", "two"]


def test_an_empty_day_is_recorded_and_says_what_waits(site: Site) -> None:
    site.send("half.csv", b"thing,pri")

    outcome = site.extract()

    assert (outcome.outcome, outcome.exit_code, outcome.counts["waiting"]) == ("empty", 99, 1)
    assert outcome.notes[0].startswith("file://one/half.csv waits: its last line has no end")
    assert site.database.rows("SELECT status FROM haulier.run") == [("empty",)]
    assert site.count("delivery") == 0


def test_a_day_that_was_empty_takes_what_comes_later(site: Site) -> None:
    site.extract()
    site.send("a.csv")

    assert site.extract().generation == 1


def test_a_new_version_of_a_file_is_a_new_generation_with_that_version_alone(site: Site) -> None:
    site.send("a.csv")
    site.send("b.csv", b"thing,price\nthree,3\n", hour=13)
    site.extract()
    site.send("a.csv", ROWS.replace(b"2", b"20"))

    outcome = site.extract()

    assert outcome.generation == 2
    assert [(d.logical_name, d.sequence) for d in site.manifest("g2").deliveries] == [
        ("b.csv", 1),
        ("a.csv", 2),
    ]
    assert sorted(row[3] for row in site.rows("g2")) == ["1", "20", "3"]


def test_back_to_an_earlier_version_is_a_third_delivery(site: Site) -> None:
    for number, data in enumerate((ROWS, ROWS.replace(b"2", b"3"), ROWS)):
        site.send("a.csv", data, number)
        assert site.extract(number).outcome == "sealed"

    assert site.database.rows("SELECT sequence, run_id FROM haulier.delivery ORDER BY 1") == [
        (1, 1),
        (2, 2),
        (3, 3),
    ]
    assert len({row for (row,) in site.database.rows("SELECT original FROM haulier.delivery")}) == 2


def test_the_same_bytes_with_another_time_are_nothing_new(site: Site) -> None:
    site.send("a.csv")
    site.extract()
    site.send("a.csv", number=1)

    assert site.extract(1).exit_code == 99


def test_a_copy_under_another_name_is_noted_and_not_loaded(site: Site) -> None:
    site.send("a.csv")
    site.send("b.csv", hour=13)

    outcome = site.extract()

    assert [d.logical_name for d in site.manifest().deliveries] == ["a.csv"]
    assert any("b.csv" in note and "copy" in note for note in outcome.notes)


def test_copies_are_loaded_where_they_count(site: Site) -> None:
    site.define(copies="load")
    site.send("a.csv")
    site.send("b.csv", hour=13)
    site.extract()

    assert [row[:3] for row in site.rows()] == [(0, 2, "one"), (0, 3, "two"), (1, 2, "one"), (1, 3, "two")]


def test_deliveries_may_have_headers_of_their_own(site: Site) -> None:
    site.send("a.csv")
    site.send("b.csv", b"price,colour,thing\n3,red,three\n", hour=13)
    site.send("c.csv", b"", hour=14)

    outcome = site.extract()

    schemas = [read_part(site.exchange, part).schema.names[2:] for part in site.manifest().parts]
    assert schemas == [["thing", "price"], ["price", "colour", "thing"]]
    assert len(site.manifest().accounts) == 3
    assert "file://one/c.csv is empty: it has no header" in outcome.notes


def test_row_groups_are_bounded_by_the_settings_and_rows_do_not_change(site: Site) -> None:
    lines = [f"thing {n},{n}" for n in range(1000)]
    site.send("a.csv", "\n".join(["thing,price", *lines, ""]).encode())

    site.extract(settings={"batch_rows": 300})

    groups = list(row_groups(site.exchange, site.manifest().parts))
    assert [group.num_rows for group in groups] == [300, 300, 300, 100]
    assert [row[2] for row in site.rows()] == [line.partition(",")[0] for line in lines]


def test_a_wrong_definition_touches_nothing(site: Site) -> None:
    site.send("a.csv")
    site.define(csv={"delimeter": ";"})

    with pytest.raises(DefinitionError, match="delimeter"):
        site.extract()

    assert site.count("run") == 0


def test_a_footer_that_contradicts_the_file_seals_nothing(site: Site) -> None:
    site.define(csv={"footer": {"pattern": r"Total: (\d+)"}})
    site.send("a.csv", ROWS + b"Total: 3\n")

    for _ in range(2):
        with pytest.raises(DataError, match=r"footer of file://one/a\.csv claims 3 rows, 2 were found"):
            site.extract()

    site.send("a.csv", ROWS + b"three,3\nTotal: 3\n")
    assert site.extract().generation == 2
    assert len(site.rows("g2")) == 3


def _parquet(price: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"thing": ["one"], "price": [price]}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("section", "data", "other"),
    [
        ("csv", ROWS, ROWS.replace(b"2", b"3")),
        ("jsonl", b'{"thing": "one", "price": 2}\n', b'{"thing": "one", "price": 3}\n'),
        ("excel", workbook(row(1, inline("thing", "2"))), workbook(row(1, inline("thing", "3")))),
        ("parquet", _parquet("2"), _parquet("3")),
    ],
)
@pytest.mark.requirement("R-04")
def test_an_original_that_was_tampered_with_is_not_read(
    site: Site, monkeypatch: pytest.MonkeyPatch, section: str, data: bytes, other: bytes
) -> None:
    source = {"files": {"path": "{instance}/*"}, section: {}}
    pipeline = {"pipeline": "things", "contract": "../contracts/things.yaml", "source": source}
    site.write("pipelines/things.yaml", {**pipeline, "instances": {"one": {}}})
    site.send("a", data)

    def tamper(*arguments: Any) -> Any:
        reservation, waiting = reserved(*arguments)
        site.exchange.put(reservation.deliveries[0].original, other)
        return reservation, waiting

    monkeypatch.setattr("haulier_extract.step.reserved", tamper)

    with pytest.raises(DataError, match="is not the file that arrived as file://one/a"):
        site.extract()


def test_a_file_that_changes_between_look_and_keep_waits(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.send("a.csv")
    monkeypatch.setattr("haulier_extract.reserving.keep", lambda *_, **__: False)

    outcome = site.extract()

    assert (outcome.exit_code, outcome.counts["waiting"]) == (99, 1)
    assert site.count("delivery") == 0


@pytest.mark.requirement("R-16")
def test_as_a_process_it_says_one_line_and_exits_with_its_code(site: Site) -> None:
    site.send("a.csv", b"thing,price\nsecret-value,1\nragged-secret\n")

    code, result, log = run_cold(site.environment, "extract", "things", "one", day(0))

    assert (code, result["outcome"], result["generation"], result["shards"]) == (0, "sealed", 1, 1)
    assert "secret" not in log
    assert run_cold(site.environment, "extract", "things", "one", day(9))[0] == 99
