"""What a definition says itself of columns: constants, labels of unpivoted columns, and texts beside their cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from haulier.definitions import Transform
from haulier.errors import DefinitionError
from haulier_transform import kernels as pc
from haulier_transform.arrays import Array, of_numbers, of_texts
from haulier_transform.judging import Judge


@dataclass(frozen=True, kw_only=True)
class Given:
    """Texts of a definition that keep its contract, by the column they fill."""

    #: Columns that are the same in every row, each as one cell.
    constants: Mapping[str, Array]
    #: The labels of unpivoted columns, typed, by place in `unpivot.columns`.
    labels: Mapping[str, Array]
    #: Columns that go along with unpivoted cells -> place of a label -> its text, where the definition says one.
    along: Mapping[str, Mapping[int, str]]

    def constant(self, name: str, count: int) -> Array:
        return pc.take(self.constants[name], of_numbers(np.zeros(count, dtype=np.int64)))


def given(transform: Transform, judges: Mapping[str, Judge]) -> Given:
    """Raises `DefinitionError` for a text that breaks the contract."""
    return Given(
        constants=_constants(transform, judges),
        labels=_labels(transform, judges),
        along=_along(transform, judges),
    )


def _constants(transform: Transform, judges: Mapping[str, Judge]) -> dict[str, Array]:
    cells = {name: of_texts([text]) for name, text in transform.constants.items()}
    for name, cell in cells.items():
        for problem in judges[name].cells(cell).problems:
            raise DefinitionError(f"transform.constants.{name}: {problem.messages[0]}")
    return cells


def _labels(transform: Transform, judges: Mapping[str, Judge]) -> dict[str, Array]:
    unpivot = transform.unpivot
    if unpivot is None:
        return {}
    labels = list(unpivot.columns.values())
    judged = judges[unpivot.names_to].cells(of_texts(labels))
    for problem in judged.problems:
        raise DefinitionError(f"transform.unpivot.columns: {problem.column}: {problem.messages[0]}")
    return {unpivot.names_to: judged.take(np.arange(len(labels), dtype=np.int64))}


def _along(transform: Transform, judges: Mapping[str, Judge]) -> dict[str, dict[int, str]]:
    unpivot = transform.unpivot
    if unpivot is None:
        return {}
    places = {label: place for place, label in enumerate(unpivot.columns.values())}
    for name, texts in unpivot.constants.items():
        for label, text in texts.items():
            for problem in judges[name].cells(of_texts([text])).problems:
                raise DefinitionError(f"transform.unpivot.constants.{name}.{label}: {problem.messages[0]}")
    return {
        name: {places[label]: text for label, text in unpivot.constants.get(name, {}).items()}
        for name in unpivot.along
    }
