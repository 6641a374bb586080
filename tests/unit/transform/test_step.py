"""From extract's sealed manifest to transform's: what is written, counted, carried on and done once."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from support.bench import LABS, Bench
from support.transforming import INTERVAL, definition

import haulier
from haulier import rows
from haulier.errors import DataError
from haulier.exchange import ObjectMissing
from haulier.parts import PartWriter
from haulier.sealing import manifest_digest, read_manifest
from haulier_transform.step import plan, transform


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_rows_rejects_and_flags_are_written_and_the_accounts_close(bench: Bench) -> None:
    parent = bench.extract()

    made = bench.run()

    canonical = bench.table(made.parts)
    assert canonical.schema.equals(rows.canonical_schema(LABS))
    assert canonical.select(["_haulier_delivery", "_haulier_row", "subject"]).to_pylist() == [
        {"_haulier_delivery": 0, "_haulier_row": 2, "subject": "S1"},
        {"_haulier_delivery": 0, "_haulier_row": 4, "subject": "S2"},
        {"_haulier_delivery": 1, "_haulier_row": 3, "subject": "S2"},
    ]
    rejects = bench.table(made.rejects)
    assert rejects.schema.equals(rows.REJECT_SCHEMA)
    assert rejects.select(["_haulier_delivery", "_haulier_row", "step", "rule", "column", "verbatim"]).to_pylist() == [
        {"_haulier_delivery": 0, "_haulier_row": 3, "step": "transform", "rule": "pattern", "column": "subject", "verbatim": b"bad,x,b"},
        {"_haulier_delivery": 1, "_haulier_row": 2, "step": "transform", "rule": "scale", "column": "result", "verbatim": b"1.234,S1,d"},
    ]  # fmt: skip
    assert rejects["verbatim_bytes"].to_pylist() == [7, 10]
    flags = bench.table(made.flags)
    assert flags.schema.equals(rows.FLAG_SCHEMA)
    assert flags.select(["_haulier_delivery", "_haulier_row", "rule", "column"]).to_pylist() == [
        {"_haulier_delivery": 0, "_haulier_row": 4, "rule": "implausible", "column": "result"}
    ]
    assert [(a.read, a.accepted, a.filtered, a.rejected, a.stripped) for a in made.accounts] == [
        (6, 2, 1, 2, 1),
        (5, 1, 1, 2, 1),
    ]
    assert (made.produced, made.rejected_outputs, made.rows) == (3, 0, 3)
    assert made.rules == {"implausible": 1, "pattern": 1, "scale": 1}
    assert made.notes == (
        "new column DEVICE in labs_2.csv: not in the contract, not loaded",
        "column comment is missing from the header of labs_2.csv",
    )
    assert made.deliveries == parent.deliveries
    assert (made.definition, made.contract) == (parent.definition, parent.contract)
    assert (made.run_id, made.generation, made.content) == (7, 1, "g1")
    assert made.parent_digest == manifest_digest(parent)
    assert made.versions["haulier"] == haulier.__version__
    assert "functions" not in made.versions


def test_the_outcome_says_what_was_sealed(bench: Bench) -> None:
    bench.extract()

    outcome = transform(bench.task())

    assert (outcome.outcome, outcome.exit_code, outcome.generation, outcome.content) == ("sealed", 0, 1, "g1")
    assert outcome.manifest == bench.keys().manifest("transform")
    assert outcome.counts["rejected"] == 4
    assert len(outcome.notes) == 2


def test_what_extract_rejected_and_said_is_passed_on(bench: Bench) -> None:
    writer = PartWriter(bench.exchange, bench.keys(), "extract", "a", rows.REJECT_SCHEMA, kind="reject")
    reject = {
        "_haulier_delivery": 0, "_haulier_row": 9, "_haulier_output": None, "step": "extract", "rule": "columns",
        "column": None, "message": "ragged", "problems": "[]", "verbatim": b"x", "verbatim_bytes": 1,
    }  # fmt: skip
    writer.write(pa.Table.from_pylist([reject], schema=rows.REJECT_SCHEMA))
    bench.extract(
        rejects=writer.close(), rules={"columns": 1}, notes=("a copy was skipped",), versions={"image": "1"}
    )

    made = bench.run()

    assert bench.table(made.rejects)["rule"].to_pylist() == ["columns", "pattern", "scale"]
    assert made.rules["columns"] == 1
    assert made.notes[0] == "a copy was skipped"
    assert made.versions["image"] == "1"


def test_a_long_row_is_kept_to_64_kib_and_its_length_said(bench: Bench) -> None:
    bench.extract({"labs_1.csv": f"subject,result,comment\nbad,1,{'x' * 70_000}\n"})

    rejects = bench.table(bench.run().rejects)

    assert len(rejects["verbatim"][0].as_py()) == rows.VERBATIM_BYTES
    assert rejects["verbatim_bytes"].to_pylist() == [70_006]


def test_no_rows_at_all_are_sealed_too(bench: Bench) -> None:
    bench.extract({"labs_1.csv": "subject,result,comment\n"})

    made = bench.run()

    assert (made.parts, made.rejects, made.flags, made.produced) == ((), (), (), 0)
    assert [a.read for a in made.accounts] == [3]


def test_nothing_delivered_is_sealed_too(bench: Bench) -> None:
    bench.extract({})

    assert bench.run().accounts == ()


class TestDoneOnce:
    def test_a_second_attempt_adopts_the_first_without_reading_a_part(self, bench: Bench) -> None:
        parent = bench.extract()
        first = bench.run()
        for part in parent.parts:
            bench.exchange.delete(part.key)

        outcome = transform(bench.task())

        assert outcome.outcome == "already done"
        assert outcome.counts["rejected"] == 4
        assert read_manifest(bench.exchange, bench.keys(), "transform") == first

    def test_other_content_for_the_same_generation_is_refused(self, bench: Bench) -> None:
        bench.extract()
        bench.run()
        bench.exchange.delete(bench.keys().manifest("extract"))
        bench.extract({"labs_1.csv": "subject,result,comment\nS3,1,a\n"})

        with pytest.raises(DataError, match="other content"):
            transform(bench.task())

    def test_equal_input_gives_equal_digests_whatever_the_batches_and_parts(self, bench: Bench) -> None:
        bench.extract()
        first = bench.run()
        for step in ("extract", "transform"):
            bench.exchange.delete(bench.keys().manifest(step))
        bench.extract(group_rows=1)

        second = bench.run(settings=replace(bench.settings, batch_rows=1))

        assert second.input_digest == first.input_digest
        assert second.attempt != first.attempt
        assert bench.table(second.parts).equals(bench.table(first.parts))
        assert bench.table(second.rejects).equals(bench.table(first.rejects))
        assert (second.accounts, second.rules, second.notes) == (first.accounts, first.rules, first.notes)

    @pytest.mark.parametrize("changed", ["definition", "contract", "content", "input", "nothing"])
    def test_whatever_decides_the_rows_is_in_the_digest(self, tmp_path: Path, changed: str) -> None:
        one, other = Bench(tmp_path / "one"), Bench(tmp_path / "other")
        one.extract(input_digest="d")
        if changed == "definition":
            other.definition = definition(null_values=["-"])
        tightened = msgspec.structs.replace(LABS, version="2")
        content = "g2" if changed == "content" else "g1"
        other.extract(
            content=content,
            contract=tightened if changed == "contract" else LABS,
            input_digest="e" if changed == "input" else "d",
        )

        same = one.run().input_digest == other.run(content).input_digest

        assert same is (changed == "nothing")


def test_transform_waits_for_extract(bench: Bench) -> None:
    with pytest.raises(ObjectMissing, match="extract must run first"):
        transform(bench.task())


def test_a_part_that_is_gone_is_an_error_and_nothing_is_sealed(bench: Bench) -> None:
    parent = bench.extract()
    bench.exchange.delete(parent.parts[0].key)

    with pytest.raises(DataError, match="gone"):
        transform(bench.task())
    with pytest.raises(ObjectMissing):
        read_manifest(bench.exchange, bench.keys(), "transform")


def test_rows_that_the_parts_do_not_hold_are_missed(bench: Bench) -> None:
    parent = bench.extract()
    bench.exchange.delete(bench.keys().manifest("extract"))
    accounts = tuple(
        msgspec.structs.replace(a, read=a.read + 1, accepted=a.accepted + 1) for a in parent.accounts
    )
    bench.extract(accounts=accounts)

    with pytest.raises(DataError, match=r"labs_1.csv: extract handed on 4 rows and its parts hold 3"):
        transform(bench.task())


def test_a_plan_does_the_same_in_its_own_folder(bench: Bench) -> None:
    bench.extract(content="plan")

    outcome = plan(replace(bench.task(), verb="plan", generation=None))

    assert (outcome.outcome, outcome.content) == ("planned", "plan")
    assert read_manifest(bench.exchange, bench.keys("plan"), "transform").produced == 3


def test_without_functions_pandas_is_not_imported(bench: Bench, tmp_path: Path) -> None:
    bench.extract()
    code = textwrap.dedent(
        """
        import sys
        from haulier_transform.__main__ import cli
        code = cli()
        heavy = [name for name in ("pandas", "boto3", "psycopg2", "sqlalchemy", "pyarrow.parquet", "pyarrow.compute", "numpy.ma") if name in sys.modules]
        print(heavy, file=sys.stderr)
        sys.exit(code)
        """
    )
    done = subprocess.run(
        [
            sys.executable, "-c", code, "run", "--pipeline", "labs", "--instance", "701", "--generation", "1",
            "--interval-start", INTERVAL.start.isoformat(), "--interval-end", INTERVAL.end.isoformat(),
        ],
        env={"HAULIER_EXCHANGE": bench.settings.exchange, "PATH": "/usr/bin", "HAULIER_DEFINITIONS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"
    assert '"outcome": "sealed"' in done.stdout
