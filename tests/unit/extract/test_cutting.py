"""Where a run is cut: every part and every row in exactly one shard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from haulier.definitions import Split
from haulier_extract.cutting import MOST, Cut

#: Deliveries as rows of their batches.
DELIVERIES = st.lists(st.lists(st.integers(1, 50), max_size=12), min_size=1, max_size=5)


def cut(deliveries, rows):
    """As extract does it: a part per delivery and shard."""
    shards, parts = Cut(Split(rows=rows) if rows else None, len(deliveries)), 0
    for position, batches in enumerate(deliveries):
        is_open = False
        for batch in batches:
            is_open = True
            if shards.filled(position, batch):
                parts, is_open = parts + 1, False
                shards.end(parts)
        parts += is_open
    return shards.shards(parts), parts


@given(DELIVERIES, st.integers(1, 120))
def test_shards_follow_one_another_and_hold_every_row(deliveries, rows):
    shards, parts = cut(deliveries, rows)

    total = [sum(batches) for batches in deliveries]
    if not shards:
        # The last shard may be short of the limit: then there is only this one.
        assert sum(total) < 2 * rows + 50
        return
    assert [shard.first for shard in shards] == [0, *(shard.end for shard in shards[:-1])]
    assert shards[-1].end == parts
    assert [sum(each) for each in zip(*(shard.accepted for shard in shards), strict=True)] == total
    assert all(sum(shard.accepted) >= rows for shard in shards[:-1])


def test_a_run_is_not_cut_without_a_limit_or_below_it():
    assert cut([[10, 10], [10]], None)[0] == ()
    assert cut([[10, 10], [10]], 31)[0] == ()
    assert cut([[10, 10], [10]], 30)[0] == ()


def test_there_are_never_more_shards_than_an_orchestrator_maps():
    shards, parts = cut([[1] * 1000], 1)

    assert len(shards) <= MOST
    assert sum(shard.accepted[0] for shard in shards) == 1000
    assert (shards[0].first, shards[-1].end) == (0, parts)
