"""How much is held at a time changes nothing of what comes out."""

from __future__ import annotations

import pytest
from support.steps import haul
from support.things import day, place, snapshot

from haulier.ledger.connection import connect
from haulier.ledger.verify import verify


@pytest.mark.parametrize("bytes_at_a_time", ["33554432", "4096"])
def test_a_thousand_and_a_million_rows_at_a_time_give_the_same(tier, tmp_path, bytes_at_a_time):
    taken = []
    for rows in ("1000", "1000000"):
        with place(tier, tmp_path, HAULIER_BATCH_ROWS=rows, HAULIER_BATCH_BYTES=bytes_at_a_time) as here:
            for number in (0, 1):
                here.write("one", number, 7_001)
                haul(here.settings, "things", "one", day(number))
            taken.append(snapshot(here.database))
            with connect(here.settings, "test") as connection:
                assert verify(connection, here.settings) == []

    assert taken[0] == taken[1]
    assert len(taken[0]["table"]) > 6_000
