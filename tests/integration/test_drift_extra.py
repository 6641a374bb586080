"""`_extra` is content like any other column: in every mode, its history and the chain."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support.hauling import KEYED, Sender, deleting, fates, ordered, replace_struct, settings_of, versioned
from support.ledger import findings

from haulier.contracts import with_extra

KEYLESS = replace_struct(
    KEYED, columns=tuple(replace_struct(column, key_position=None) for column in KEYED.columns)
)


@pytest.fixture
def settings(database, tmp_path):
    return settings_of(database, tmp_path)


@pytest.fixture
def sender(settings):
    return Sender(settings=settings, contract=with_extra(KEYED), reject_threshold=1)


@pytest.fixture(autouse=True)
def clean(settings):
    """Asks for a clean ledger, deeply, once the test is over."""
    yield
    assert findings(settings) == []


def thing(name, extra, **more):
    """A row; ``extra`` is what its source has beside the contract."""
    kept = json.dumps(extra) if extra else None
    return {"thing": name, "colour": "red", "price": Decimal(1), "_extra": kept, **more}


def table(database):
    return database.rows("SELECT thing, _extra FROM shop.things ORDER BY thing, _extra::text")


def history(database):
    return database.rows("SELECT before ->> 'thing', before -> '_extra' FROM haulier.history ORDER BY 1, 2")


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_another_extra_value_is_an_update_whose_former_self_is_kept(sender, database, mode):
    sender.mode = mode
    sender.send(
        0, {"a.csv": [thing("x", {"size": "1"}), thing("y", {"size": "2", "note": "n"}), thing("z", None)]}
    )
    outcome = sender.send(
        1,
        {
            "b.csv": [
                thing("x", {"size": "5"}),
                thing("y", {"note": "n", "size": "2"}),
                thing("z", {"size": "3"}),
            ]
        },
    )

    assert fates(outcome) == {"updated": 2, "unchanged": 1}
    assert table(database) == [("x", {"size": "5"}), ("y", {"size": "2", "note": "n"}), ("z", {"size": "3"})]
    assert history(database) == [("x", {"size": "1"}), ("z", None)]


def test_an_extra_value_that_is_no_longer_sent_goes_to_the_history(sender, database):
    sender.send(0, {"a.csv": [thing("x", {"size": "1"})]})
    sender.send(1, {"b.csv": [thing("x", None)]})

    assert (table(database), history(database)) == ([("x", None)], [("x", {"size": "1"})])


def test_an_older_extra_value_that_comes_late_is_superseded(sender, database):
    sender.send(1, {"b.csv": [thing("x", {"size": "2"})]})

    assert fates(sender.send(0, {"a.csv": [thing("x", {"size": "1"})]})) == {"superseded": 1}
    assert table(database) == [("x", {"size": "2"})]


def test_two_extra_values_for_one_key_in_a_file_are_a_conflict(sender, database):
    outcome = sender.send(
        0, {"a.csv": [thing("x", {"size": "1"}), thing("x", {"size": "2"}), thing("y", None)]}
    )

    assert fates(outcome) == {"inserted": 1, "rejected": 2}


def test_appended_rows_of_a_key_with_another_extra_value_are_rejected(sender, database):
    sender.mode = "append"
    sender.send(0, {"a.csv": [thing("x", {"size": "1"}), thing("y", {"size": "1"})]})

    assert fates(sender.send(1, {"b.csv": [thing("x", {"size": "2"}), thing("y", {"size": "1"})]})) == {
        "duplicate": 1,
        "rejected": 1,
    }


def test_appended_rows_without_a_key_all_enter(sender, database):
    sender.mode, sender.contract = "append", with_extra(KEYLESS)
    sender.send(0, {"a.csv": [thing("x", {"size": "1"}), thing("x", None)]})
    sender.send(1, {"b.csv": [thing("x", {"size": "1"})]})

    assert table(database) == [("x", {"size": "1"}), ("x", {"size": "1"}), ("x", None)]


@pytest.mark.parametrize("deleted_at", [None, "gone_at"])
def test_a_deletion_keeps_the_extra_values_in_the_row_or_its_history(sender, database, deleted_at):
    sender.contract = with_extra(deleting(KEYED, deleted_at=deleted_at))
    sender.send(0, {"a.csv": [thing("x", {"size": "1"}, op="U")]})
    outcome = sender.send(1, {"b.csv": [{"thing": "x", "op": "D"}]})

    assert fates(outcome) == {"deleted": 1}
    assert table(database) == ([("x", {"size": "1"})] if deleted_at else [])
    assert history(database) == [("x", {"size": "1"})]


def test_a_version_has_extra_values_of_its_own(sender, database):
    sender.mode, sender.contract = "scd2", with_extra(versioned(ordered(KEYED)))
    sender.send(0, {"a.csv": [thing("x", {"size": "1"}, edited=1)]})
    later = sender.send(1, {"b.csv": [thing("x", {"size": "2"}, edited=5)]})
    corrected = sender.send(2, {"c.csv": [thing("x", {"size": "3"}, edited=5)]})

    assert (fates(later), fates(corrected)) == ({"inserted": 1}, {"updated": 1})
    assert table(database) == [("x", {"size": "1"}), ("x", {"size": "3"})]
    assert history(database) == [("x", {"size": "2"})]


def test_a_table_made_for_it_says_what_the_column_is(sender, database):
    sender.send(0, {"a.csv": [thing("x", {"size": "1"})]})

    assert database.rows(
        "SELECT format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'shop.things'::regclass AND attname = '_extra'"
    ) == [
        (
            "jsonb",
            "What the source has beside the contract: the names of its columns, and their values as text.",
        )
    ]


def test_a_pipeline_that_does_not_keep_leaves_the_column_alone(sender, database):
    sender.send(0, {"a.csv": [thing("x", {"size": "1"})]})
    sender.contract = KEYED
    sender.drift = replace_struct(sender.drift, missing_column="stop")
    sender.send(1, {"b.csv": [{"thing": "y", "colour": "red", "price": Decimal(1)}]})

    assert table(database) == [("x", {"size": "1"}), ("y", None)]
