"""Through the whole step: outputs that are replayed alone, users' functions, and groups that lie across parts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from support.bench import Bench
from support.transforming import column, contract, definition

from haulier.errors import DefinitionError
from haulier.exchange import ObjectMissing
from haulier.sealing import read_manifest
from haulier_transform.step import transform


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class TestReplay:
    UNPIVOT = definition(
        unpivot={"columns": {"a": "A", "b": "B"}, "names_to": "subject", "values_to": "result"}
    ).transform
    WIDE = contract(column("subject"), column("result", "numeric(6,2)"))

    def test_only_what_was_asked_for_is_hauled(self, bench: Bench) -> None:
        bench.definition = msgspec.structs.replace(bench.definition, transform=self.UNPIVOT)
        files = {"wide.csv": "a,b\n1,2\n3,x\n5,6\n"}
        bench.extract(files, self.WIDE, content="r17", replayed={"wide.csv": ((2, 1), (3, 1))})

        made = bench.run("r17")

        assert bench.table(made.parts).select(["_haulier_row", "_haulier_output"]).to_pylist() == [
            {"_haulier_row": 2, "_haulier_output": 1}
        ]
        assert bench.table(made.rejects).select(
            ["_haulier_row", "_haulier_output", "verbatim"]
        ).to_pylist() == [{"_haulier_row": 3, "_haulier_output": 1, "verbatim": b"3,x"}]
        assert (made.replay_id, made.produced, made.rejected_outputs) == (17, 2, 1)

    def test_outputs_of_one_row_share_its_verbatim(self, bench: Bench) -> None:
        bench.definition = msgspec.structs.replace(bench.definition, transform=self.UNPIVOT)
        bench.extract({"wide.csv": "a,b\n1,2\nx,y\n5,z\n"}, self.WIDE)

        made = bench.run()

        assert bench.table(made.rejects)["verbatim"].to_pylist() == [b"x,y", b"x,y", b"5,z"]
        assert (made.produced, made.rejected_outputs, made.accounts[0].accepted) == (6, 3, 3)


class TestFunctions:
    @pytest.fixture
    def labs(self, bench: Bench) -> Path:
        folder = bench.settings.definitions / "functions"
        folder.mkdir()
        bench.definition = msgspec.structs.replace(
            bench.definition, transform=definition(functions=["labs.run"]).transform
        )
        return folder / "labs.py"

    def test_their_source_is_a_version_and_no_input(self, bench: Bench, labs: Path) -> None:
        labs.write_text("def run(batch): return batch\n")
        bench.extract()
        first = bench.run()
        labs.write_text("def run(batch): return batch.assign(comment='changed')\n")
        bench.exchange.delete(bench.keys().manifest("transform"))

        second = bench.run()

        assert first.input_digest == second.input_digest
        assert first.versions["functions"] != second.versions["functions"]
        assert set(second.versions) >= {"pandas", "pyarrow", "haulier"}
        assert set(bench.table(second.parts)["comment"].to_pylist()) == {"changed"}

    def test_what_they_filter_is_noted_once_whatever_the_batches(self, bench: Bench, labs: Path) -> None:
        labs.write_text(
            "def run(batch): return batch.filter(batch.rows['subject'] == 'S2', reason='screening')\n"
        )
        bench.extract()

        made = bench.run(settings=replace(bench.settings, batch_rows=1))

        assert made.filtered == {"screening": 2}
        assert [(a.accepted, a.filtered) for a in made.accounts] == [(1, 2), (0, 2)]

    def test_an_error_in_one_seals_nothing(self, bench: Bench, labs: Path) -> None:
        labs.write_text("def run(batch): return batch.assign(coment='typo')\n")
        bench.extract()

        with pytest.raises(DefinitionError, match='did you mean "comment"'):
            transform(bench.task())
        with pytest.raises(ObjectMissing):
            read_manifest(bench.exchange, bench.keys(), "transform")


class TestPivot:
    """Groups lie across batches, parts and the order of rows in a file."""

    PIVOT: ClassVar[dict[str, Any]] = {
        "by": ["order"],
        "names_from": "item",
        "values_from": "value",
        "pattern": "(?P<part>[A-Z])_(?P<item>.*)",
        "items": {"price": "price", "unit": "unit"},
        "ignore": ["note"],
    }
    ORDERS = contract(
        column("order", key_position=1),
        column("part", key_position=2),
        column("price", "numeric(6,1)"),
        column("unit"),
    )
    FILES: ClassVar[dict[str, str]] = {
        "a.csv": "order,item,value\n"
        + "".join(f"{n % 9},A_unit,kg\n{n % 9},B_note,x\n" for n in range(9))
        + "".join(f"{n},A_price,{'dear' if n == 4 else n}\n" for n in reversed(range(9)))
        + "3,C_price,1\n3,D_colour,red\n3,C_price,2\n",
        "b.csv": "value,order,item\n7,1,A_price\nkg,2,A_unit\nt,1,A_unit\n",
    }

    @pytest.mark.parametrize("batch_rows", [1, 2, 7, 1000])
    def test_the_same_comes_out_with_the_verbatim_of_each_reject(
        self, tmp_path: Path, batch_rows: int
    ) -> None:
        bench = Bench(tmp_path)
        bench.definition = definition(pivot=self.PIVOT)
        bench.settings = replace(bench.settings, batch_rows=batch_rows)
        bench.extract(self.FILES, self.ORDERS, group_rows=4)

        made = bench.run()

        found = sorted(
            bench.table(made.parts).to_pylist(), key=lambda row: (row["_haulier_delivery"], row["order"])
        )
        assert [(row["_haulier_delivery"], row["order"], row["unit"], row["price"]) for row in found] == [
            *((0, str(n), "kg", Decimal(n)) for n in range(9) if n != 4),
            (1, "1", "t", Decimal(7)),
            (1, "2", "kg", None),
        ]
        rejects = (
            bench.table(made.rejects)
            .select(["_haulier_row", "_haulier_output", "rule", "verbatim"])
            .to_pylist()
        )
        assert sorted((list(row.values()) for row in rejects), key=str) == [
            [24, 0, "type", b"4,A_price,dear"],
            [29, None, "item-twice", b"3,C_price,1"],
            [30, None, "unknown-item", b"3,D_colour,red"],
            [31, None, "item-twice", b"3,C_price,2"],
        ]
        assert [(a.read, a.accepted, a.filtered, a.rejected, a.stripped) for a in made.accounts] == [
            (33, 18, 10, 4, 1),
            (6, 3, 1, 1, 1),
        ]
        assert (made.produced, made.rejected_outputs) == (11, 1)
        assert made.filtered == {"item note is ignored (transform.pivot.ignore)": 9}
