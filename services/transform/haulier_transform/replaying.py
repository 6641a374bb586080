"""Which rows and outputs a replay hauls: those that were asked for, and what becomes of the rest of their rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from haulier.manifest import Delivery
from haulier_transform.arrays import Mask, Positions
from haulier_transform.rejects import WHOLE, Rejects


class Replaying:
    """What was asked for of each delivery; false where a run is no replay."""

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._asked = {
            place: frozenset(delivery.replayed)
            for place, delivery in enumerate(deliveries)
            if delivery.replayed is not None
        }

    def __bool__(self) -> bool:
        return bool(self._asked)

    def spread(self, rejects: Rejects, delivery: NDArray[np.int32], row: NDArray[np.int64]) -> None:
        """In a replay of single outputs, a broken source row fails each of those that were asked for."""
        for at in np.flatnonzero(rejects.output == WHOLE).tolist():
            source = int(rejects.source[at])
            asked = self._asked.get(int(delivery[source]), frozenset())
            outputs = sorted(
                output for number, output in asked if number == row[source] and output is not None
            )
            if outputs and (int(row[source]), None) not in asked:
                rejects.output[at] = outputs[0]
                for output in outputs[1:]:
                    rejects.source = np.append(rejects.source, source)
                    rejects.output = np.append(rejects.output, output)
                    rejects.reasons.append(rejects.reasons[at])

    def is_hauled(
        self, delivery: NDArray[np.int32], row: NDArray[np.int64], source: Positions, output: Positions
    ) -> Mask:
        """In a replay: the outputs that were asked for; else all."""
        hauled = np.ones(len(source), dtype=bool)
        for place, asked in self._asked.items():
            for at in np.flatnonzero((delivery[source] == place) & (output != WHOLE)):
                number = int(row[source[at]])
                hauled[at] = (number, None) in asked or (number, int(output[at])) in asked
        return hauled
