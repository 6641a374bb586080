"""Chance that falls the same way for the same names, on every Python."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Draws built on `Random.random()` alone: the one method whose sequence Python promises to keep."""

    def __init__(self, *names: object) -> None:
        self._random = Random("|".join(map(str, names))).random  # noqa: S311 (sample data, not a secret)

    def chance(self, probability: float) -> bool:
        return self._random() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.between(0, len(choices) - 1)]

    def near(self, centre: int, spread: int) -> int:
        """A whole number within spread of the centre, more often close to it."""
        return centre + (self.between(-spread, spread) + self.between(-spread, spread)) // 2

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """Some of the choices, in the order they had."""
        left = list(range(len(choices)))
        drawn = [left.pop(self.between(0, len(left) - 1)) for _ in range(count)]
        return [choices[position] for position in sorted(drawn)]
