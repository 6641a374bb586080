"""What the generator says and what the ledger says, kind by kind, and where they first differ."""

from collections import Counter
from dataclasses import dataclass

from generator.events import Event, Events, Told

UNKNOWN = "unknown to the generator"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One kind in one category: how often each side has it, and the first event that only one of them has."""

    kind: str
    category: str
    generator: int
    ledger: int
    first: Event | None = None
    only_in: str = ""

    def __str__(self) -> str:
        told = f"{self.kind:<34} {self.category:<10} {self.generator:>9} {self.ledger:>9}"
        if self.first is None:
            return told
        row = f", row {self.first.row}" if self.first.row else ""
        return f"{told}  first at {self.first.where}{row}: only the {self.only_in} has {self.first.what}"


def compare(told: Told, found: Events) -> list[Line]:
    """Every kind of the generator, and what the ledger has beside them."""
    ours, theirs = _by_kind(told, told.events), _by_kind(told, found)
    return [
        _line(kind, category, ours.get((kind, category), Counter()), theirs.get((kind, category), Counter()))
        for kind, category in sorted(ours.keys() | theirs.keys())
    ]


def differing(lines: list[Line]) -> list[Line]:
    """Those in which the two sides do not say the same."""
    return [line for line in lines if line.first is not None]


def table_of(lines: list[Line]) -> str:
    """The comparison for people."""
    head = f"{'kind':<34} {'as':<10} {'generator':>9} {'ledger':>9}"
    return "\n".join([head, *map(str, lines)])


def _line(kind: str, category: str, ours: Events, theirs: Events) -> Line:
    alone = [(event, "generator") for event in ours - theirs] + [(event, "ledger") for event in theirs - ours]
    first, only_in = min(alone, key=_order, default=(None, ""))
    return Line(
        kind=kind,
        category=category,
        generator=ours.total(),
        ledger=theirs.total(),
        first=first,
        only_in=only_in,
    )


def _order(one: tuple[Event, str]) -> tuple[str, int, str]:
    event, side = one
    return event.where, event.row, side


def _by_kind(told: Told, events: Events) -> dict[tuple[str, str], Events]:
    found: dict[tuple[str, str], Events] = {}
    for event, count in events.items():
        kind = told.kinds.get(event, UNKNOWN)
        found.setdefault((kind, event.category), Counter())[event] += count
    return found
