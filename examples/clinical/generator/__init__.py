"""Seeded sample data for the clinical example: a landing area as sites fill it, day by day, mess included."""

from generator.conventions import (
    COLUMNS,
    LABS,
    LIMITS,
    NEW_COLUMN,
    POSITIONS,
    SITES,
    STUDY,
    VITALS,
    Convention,
    convention_of,
)
from generator.measurements import PANEL
from generator.mess import FILE_KINDS, KINDS, MORE_KINDS, ROW_KINDS, Mess
from generator.record import Delivered, Finding, Missing, OutputCounts, RowCounts
from generator.trial import Trial, large_trial

__all__ = [
    "COLUMNS",
    "FILE_KINDS",
    "KINDS",
    "LABS",
    "LIMITS",
    "MORE_KINDS",
    "NEW_COLUMN",
    "PANEL",
    "POSITIONS",
    "ROW_KINDS",
    "SITES",
    "STUDY",
    "VITALS",
    "Convention",
    "Delivered",
    "Finding",
    "Mess",
    "Missing",
    "OutputCounts",
    "RowCounts",
    "Trial",
    "convention_of",
    "large_trial",
]
