"""What was judged, into the target: its new partitions, its rows, its indexes; and what a plan says of it. Who writes
holds the target's lock."""

from __future__ import annotations

from haulier.cold.ledger import away
from haulier.contracts import Contract
from haulier.definitions.drift import Drift
from haulier.landing.catalogue import live_columns
from haulier.landing.drift import check_live
from haulier.landing.evolving import Change, changes
from haulier.landing.indexes import make_indexes, missing_indexes
from haulier.landing.merge import Merge
from haulier.landing.partitions import New, ahead, check_partitioned, make, missing, pieces, places
from haulier.ledger.connection import Cursor
from haulier.partitions import Tree, live_tree


def write(cursor: Cursor, contract: Contract, merge: Merge, load_id: int, actor: str) -> None:
    """Apply a merge. Raises `AssertionError` if the table moved since it was judged."""
    run_id = merge.content.run_id
    if contract.partitions:
        tree = live_tree(cursor, contract.schema, contract.table)
        make(cursor, contract, new_partitions(cursor, contract, merge, tree), run_id, actor)
    merge.apply(load_id)
    # Once the rows are there: to sort them once is quicker than to look for each one's place.
    make_indexes(cursor, contract, missing_indexes(cursor, merge.contract), run_id, actor)


def new_partitions(cursor: Cursor, contract: Contract, merge: Merge, tree: Tree) -> list[New]:
    """The partitions that have to be made for the judged rows, and ahead of the next ones."""
    if not contract.partitions:
        return []
    needed = places(cursor, contract, merge.stage, new=True)
    needed |= ahead(contract, needed, merge.content.ordered)
    # Never an empty one in the place of one that is archived.
    gone = away(cursor, contract.target)
    free = (piece for piece in pieces(contract, needed) if not any(one.meets(piece) for one in gone))
    return missing(contract, tree, free)


def would_make(cursor: Cursor, contract: Contract, merge: Merge, tree: Tree) -> list[str]:
    """The DDL of `write`, for a plan."""
    indexes = [f"{new.statement.as_string(cursor)};" for new in missing_indexes(cursor, merge.contract)]
    return indexes + [
        new.statement.as_string(cursor) for new in new_partitions(cursor, contract, merge, tree)
    ]


def checked_table(
    cursor: Cursor, contract: Contract, drift: Drift
) -> tuple[dict[str, str], list[Change], Tree]:
    """For a plan: the live table's columns (none: it is not there), what would bring it to its contract, its partitions.

    Raises `DefinitionError` where the definition says to stop at how they differ.
    """
    live = live_columns(cursor, contract)
    tree = live_tree(cursor, contract.schema, contract.table)
    if not live:
        return live, [], tree
    pending = changes(contract, live, drift)
    check_partitioned(tree, contract)
    check_live(contract, live, drift)
    return live, pending, tree
