"""The names of the two accounts, in the order of their equations."""

from __future__ import annotations

#: ``read`` is the sum of the others: what became of every row of a delivery.
SOURCE = ("read", "accepted", "filtered", "rejected", "stripped")
#: ``produced`` is the sum of the others: what became of every row that a run made for its target.
TARGET = (
    "produced",
    "inserted",
    "updated",
    "unchanged",
    "superseded",
    "duplicate",
    "deleted",
    "rejected",
    "held",
)
