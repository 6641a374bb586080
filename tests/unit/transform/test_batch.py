"""What a function may do with a batch, and what is said when it may not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from haulier.errors import DefinitionError
from haulier_transform.batch import Batch


def a_batch(count: int = 4, **more: Any) -> Batch:
    table = pa.table(
        {
            "subject": pa.array([f"S{n}" for n in range(count)]),
            "weight": pa.array([Decimal(60 + n) for n in range(count)], pa.decimal128(6, 2)),
        }
    )
    return Batch.of(table.to_pandas(types_mapper=pd.ArrowDtype), **more)


class TestRejectAndFlag:
    def test_a_rejected_row_is_gone_and_the_batch_before_it_is_not_changed(self) -> None:
        before = a_batch()

        after = before.reject(before.rows["weight"] > 61, rule="heavy", column="weight", message="too heavy")

        assert after.rows.index.tolist() == [0, 1]
        assert after.rejects.values.tolist() == [
            [2, "heavy", "weight", "too heavy"],
            [3, "heavy", "weight", "too heavy"],
        ]
        assert len(before.rows) == 4
        assert before.rejects.empty

    def test_a_flagged_row_stays(self) -> None:
        batch = a_batch()

        batch = batch.flag(batch.rows["weight"] > 62, rule="heavy", message="heavy")

        assert len(batch.rows) == 4
        assert batch.flags["source"].tolist() == [3]

    def test_a_message_per_row(self) -> None:
        batch = a_batch()
        texts = "subject " + batch.rows["subject"]

        batch = batch.reject(batch.rows["weight"] > 62, rule="heavy", message=texts)

        assert batch.rejects["message"].tolist() == ["subject S3"]

    def test_positions_stay_those_of_the_source_after_rows_left(self) -> None:
        batch = a_batch()
        batch = batch.filter(batch.rows["subject"] == "S0", reason="not wanted")

        batch = batch.reject(np.array([False, True, False]), rule="heavy", message="heavy")

        assert batch.rejects["source"].tolist() == [2]
        assert batch.rows["subject"].tolist() == ["S1", "S3"]

    @pytest.mark.parametrize("column", ["weigth", "Subject"])
    def test_an_unknown_column_is_an_error_with_the_nearest_one(self, column: str) -> None:
        with pytest.raises(DefinitionError, match="did you mean"):
            a_batch().reject(np.ones(4, dtype=bool), rule="r", column=column, message="m")

    @pytest.mark.parametrize("wrong", [{"rule": ""}, {"message": ""}, {"rule": None}, {"message": 3}])
    def test_a_reject_has_a_rule_and_a_message(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(DefinitionError, match="must be a text"):
            a_batch().reject(np.ones(4, dtype=bool), **{"rule": "r", "message": "m", **wrong})


class TestMasks:
    def test_na_means_no(self) -> None:
        batch = a_batch()
        mask = pd.Series([True, None, None, False], dtype="boolean")

        assert batch.filter(mask, reason="r").rows["subject"].tolist() == ["S1", "S2", "S3"]
        assert batch.filter(mask.astype(object), reason="r").rows["subject"].tolist() == ["S1", "S2", "S3"]

    def test_a_mask_made_before_rows_left_still_fits(self) -> None:
        batch = a_batch()
        heavy = batch.rows["weight"] > 61
        batch = batch.filter(batch.rows["subject"] == "S3", reason="r")

        assert batch.filter(heavy, reason="heavy").rows["subject"].tolist() == ["S0", "S1"]

    def test_rows_a_mask_leaves_out_mean_no(self) -> None:
        batch = a_batch()

        assert len(batch.filter(batch.rows["weight"][2:] > 0, reason="r").rows) == 2

    @pytest.mark.parametrize(
        "mask", [np.ones(3, dtype=bool), np.ones(4), [1, 0, 1, 0], True, pd.Series([1.0, 0, 1, 0]), "all"]
    )
    def test_what_is_no_mask_is_an_error(self, mask: Any) -> None:
        with pytest.raises(DefinitionError, match="mask"):
            a_batch().filter(mask, reason="r")


class TestReplaceRows:
    def test_a_merge_that_keeps_the_index_is_fine_in_any_order(self) -> None:
        batch = a_batch()
        names = pd.DataFrame({"subject": ["S3", "S2", "S1", "S0"], "unit": ["kg", "lb", "kg", "kg"]})

        merged = names.merge(batch.rows.reset_index(), on="subject").set_index("source")
        batch = batch.replace_rows(merged)
        batch = batch.reject(batch.rows["unit"] == "lb", rule="pounds", message="pounds")

        assert batch.rejects["source"].tolist() == [2]

    def test_a_lost_index_is_an_error(self) -> None:
        batch = a_batch()

        with pytest.raises(DefinitionError, match="lost the index"):
            batch.replace_rows(batch.rows.reset_index(drop=True))

    @pytest.mark.parametrize("reshape", [True, False])
    def test_a_lost_row_is_an_error(self, reshape: bool) -> None:
        batch = a_batch(reshape=reshape)

        with pytest.raises(DefinitionError, match="2 source rows are lost"):
            batch.replace_rows(batch.rows[1:3])

    def test_a_filtered_row_is_not_lost(self) -> None:
        batch = a_batch()
        batch = batch.filter(batch.rows["subject"] == "S0", reason="r")

        assert len(batch.replace_rows(batch.rows[::-1]).rows) == 3

    def test_a_row_twice_needs_a_declared_reshape(self) -> None:
        batch = a_batch()

        with pytest.raises(DefinitionError, match="reshape: true"):
            batch.replace_rows(pd.concat([batch.rows, batch.rows[:1]]))

    def test_a_row_from_nowhere_is_an_error(self) -> None:
        batch = a_batch(reshape=True)
        strange = batch.rows.set_axis(pd.Index([0, 1, 2, 9], name="source"))

        with pytest.raises(DefinitionError, match="1 values of the new rows' index are no source row"):
            batch.replace_rows(pd.concat([batch.rows, strange]))

    def test_child_rows_are_numbered_within_their_source_row(self) -> None:
        batch = a_batch(reshape=True)

        batch = batch.replace_rows(pd.concat([batch.rows, batch.rows[1:]]))

        assert list(zip(batch._source.tolist(), batch._output.tolist(), strict=True)) == [
            (0, 0), (1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1),
        ]  # fmt: skip

    def test_numbers_of_rejected_outputs_are_not_given_again(self) -> None:
        batch = a_batch(reshape=True)
        batch = batch.replace_rows(pd.concat([batch.rows, batch.rows]))
        batch = batch.reject(np.arange(8) == 5, rule="r", message="m")  # the second output of row 1

        batch = batch.replace_rows(batch.rows)

        numbers = dict.fromkeys(range(4), ())
        for source, output in zip(batch._source.tolist(), batch._output.tolist(), strict=True):
            numbers[source] += (output,)
        assert numbers == {0: (0, 1), 1: (2,), 2: (0, 1), 3: (0, 1)}

    def test_a_group_names_the_rows_it_stands_for(self) -> None:
        batch = a_batch(reshape=True)
        first = pd.Series([0, 0, 2, 2], index=batch.rows.index)
        groups = batch.rows.groupby(first.rename("source")).agg({"subject": "first", "weight": "sum"})

        assert len(batch.replace_rows(groups, sources=first).rows) == 2
        with pytest.raises(DefinitionError, match="2 source rows are lost"):
            batch.replace_rows(groups)

    def test_rows_moved_in_place_are_noticed(self) -> None:
        batch = a_batch()
        batch.rows.index = batch.rows.index[::-1]

        with pytest.raises(DefinitionError, match="changed in place"):
            batch.reject(np.zeros(4, dtype=bool), rule="r", message="m")
        with pytest.raises(DefinitionError, match="changed in place"):
            batch.check_rows()


def test_the_source_text_of_the_rows_that_are_left() -> None:
    batch = a_batch(source=pd.DataFrame({"DATE": list("abcd"), "TIME": [None, "b", "c", "d"]}))
    batch = batch.filter(batch.rows["subject"] == "S1", reason="r")

    assert batch.source["DATE"].tolist() == ["a", "c", "d"]
    assert batch.source.index.equals(batch.rows.index)
    assert batch.source["TIME"].isna().tolist() == [True, False, False]


def test_assign_sets_columns_and_leaves_the_batch_before_it() -> None:
    before = a_batch()

    after = before.assign(unit="kg", double=before.rows["weight"] * 2)

    assert after.rows["unit"].tolist() == ["kg"] * 4
    assert after.rows["double"][0] == Decimal(120)
    assert "unit" not in before.rows
