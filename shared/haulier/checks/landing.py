"""What a definition may not say of loading, with the contract of its target beside it."""

from __future__ import annotations

from collections.abc import Iterator

from haulier.checks.sql import increments_in
from haulier.contracts import Contract
from haulier.definitions import Instance
from haulier.problems import Problem, quoted

#: Mode -> why rows that delete have no place in it.
_WITHOUT_DELETIONS = {"append": "never deletes", "replace": "removes what is not sent"}


def load_in(instance: Instance, contract: Contract, shown: str) -> Iterator[Problem]:
    """What the rows of a contract cannot be loaded with."""
    mode, marker = instance.load.mode, contract.marker
    if mode != "append" and not contract.key:
        yield Problem(
            ("load", "mode"),
            f"{quoted(mode)} needs a primary key and {shown} declares none; "
            'declare primaryKey there, or use "append"',
        )
    if (mode == "scd2") is not bool(contract.valid_to):
        why = (
            f'"scd2" keeps every version of a row; say in {shown} with validTo until when each holds'
            if mode == "scd2"
            else f'{shown} has validTo, so it keeps every version of a row; use "scd2"'
        )
        yield Problem(("load", "mode"), why)
    if instance.source.sql:
        yield from increments_in(instance.source.sql, mode, contract, shown)
    if marker and mode in _WITHOUT_DELETIONS:
        yield Problem(
            ("load", "mode"),
            f"{quoted(mode)} {_WITHOUT_DELETIONS[mode]}, and {marker.name} of {shown} has deletes; "
            'use "upsert"',
        )
    if instance.split and instance.transform.pivot:
        yield Problem(
            ("split",), "would divide groups that transform.pivot brings together; remove one of the two", " "
        )
    yield from _of_events(instance, contract, shown)
    yield from _removal(instance, contract, shown)
    if marker and instance.transform.unpivot is not None:
        yield Problem(
            ("transform", "unpivot"),
            f"makes several rows of one, and {marker.name} of {shown} has deletes: which of them would be gone?",
            " ",
        )


def _removal(instance: Instance, contract: Contract, shown: str) -> Iterator[Problem]:
    """Rows that go because they are no longer sent: only where what is sent is known to be everything."""
    trail = ("load", "removal_threshold")
    mode, marker, files = instance.load.mode, contract.marker, instance.source.files
    is_set = instance.load.removal_threshold is not None
    if contract.deleted_at and not marker and not (is_set and mode == "upsert"):
        text = (
            f"{shown} has deletedAt and no column with deletes, so only load.removal_threshold of "
            '"upsert" would fill it; say one of them, or remove deletedAt'
        )
        yield Problem(("load",), text)
    if not is_set:
        return
    if mode not in ("upsert", "replace"):
        yield Problem(
            trail,
            f'is for "upsert" of cumulative files and for "replace", and load.mode is {quoted(mode)}; remove it',
            " ",
        )
    elif mode == "upsert" and (files is None or files.content != "cumulative"):
        yield Problem(
            trail,
            "takes rows away that are no longer sent, and only cumulative files are known to hold everything; "
            'write source.files.content: cumulative, use "replace", or remove it',
            " ",
        )
    elif mode == "upsert" and (marker or contract.keeping):
        name, what = (marker.name, "deletes") if marker else (contract.keeping[0].name, "unchangedValues")
        yield Problem(
            trail,
            f"stands beside {name} of {shown}, which has {what}: such rows are events, and of events a missing one "
            "says nothing; remove one of the two",
            " ",
        )


def _of_events(instance: Instance, contract: Contract, shown: str) -> Iterator[Problem]:
    """What only `upsert` can make of values that an event does not carry."""
    if not contract.keeping:
        return
    what = f"{contract.keeping[0].name} of {shown} has unchangedValues"
    if instance.load.mode != "upsert":
        yield Problem(
            ("load", "mode"),
            f'{quoted(instance.load.mode)} has no row whose value could be kept, and {what}; use "upsert"',
        )
    for name, why in (
        ("functions", "would be given rows whose values are not known"),
        ("unpivot", "makes rows of cells whose values are not known"),
        ("pivot", "makes rows of cells whose values are not known"),
    ):
        if getattr(instance.transform, name):
            yield Problem(("transform", name), f"{why}, and {what}; do without one of the two", " ")
