"""The end of hauling: per pipeline and instance how many runs, what they read, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from haulier.accounts import TARGET
from haulier_command.hauling import Hauled, by_lane
from haulier_command.ledger import SOURCE_ACCOUNT, Row
from haulier_command.output import Block, Table, columns

#: The worst first, so that it is read first.
OUTCOMES = ("failed", "cancelled", "quarantined", "not run", "loaded", "already done", "empty")

Line = dict[str, object]


def summary(hauled: Sequence[Hauled], accounts: Sequence[Row]) -> list[Line]:
    """One line per pipeline and instance."""
    lines = []
    for pipeline, instance in by_lane([one.run for one in hauled]):
        mine = [one for one in hauled if one.run.lane == (pipeline, instance)]
        both = [row for row in accounts if (row["pipeline"], row["instance"]) == (pipeline, instance)]
        # What a model makes of rows was read once, and has an account of its own.
        held = [row for row in both if row.get("kind") != "model"]
        modelled = [row for row in both if row.get("kind") == "model"]
        lines.append(
            {
                "pipeline": pipeline,
                "instance": instance,
                "runs": len(mine),
                "outcomes": dict(Counter(one.outcome for one in mine)),
                "deliveries": sum(row["deliveries"] for row in held),
                "source": _sums(held, SOURCE_ACCOUNT),
                "target": _sums(held, TARGET),
                **({"models": _by_target(modelled)} if modelled else {}),
                "seconds": round(sum(one.seconds for one in mine), 1),
            }
        )
    return lines


def tables(lines: Sequence[Line], *, instance_word: str = "instance") -> list[Block]:
    """The two accounts as people read them, each closing in its own line."""
    source = Table(
        title="What arrived",
        columns=columns(
            "pipeline",
            instance_word,
            "runs#",
            "deliveries#",
            "read#",
            "accepted#",
            "filtered#?",
            "rejected#?",
            "stripped#?",
            "outcome!",
        ),
        rows=[
            (
                *(line[name] for name in ("pipeline", "instance", "runs", "deliveries")),
                *_values(line, "source", SOURCE_ACCOUNT),
                outcome_words(line),
            )
            for line in lines
        ],
        note="rows: read = accepted + filtered + rejected + stripped; columns of zeros are left out",
    )
    target = Table(
        title="What became of it",
        columns=columns(
            *(
                "pipeline",
                instance_word,
                "produced#",
                *(f"{name}#?" for name in TARGET[1:]),
                "s#",
            )
        ),
        rows=[
            (line["pipeline"], line["instance"], *_values(line, "target", TARGET), line["seconds"])
            for line in lines
        ],
        note=f"rows: produced = {' + '.join(TARGET[1:])}",
    )
    return [source, target, *_models(lines, instance_word)]


def _models(lines: Sequence[Line], instance_word: str) -> list[Block]:
    rows = []
    for line in lines:
        models = line.get("models", {})
        assert isinstance(models, dict)
        rows += [(line["pipeline"], line["instance"], name, *sums.values()) for name, sums in models.items()]
    if not rows:
        return []
    named = ("pipeline", instance_word, "table", "produced#", *(f"{name}#?" for name in TARGET[1:]))
    return [Table(title="What the models merged", columns=columns(*named), rows=rows)]


def outcome_words(line: Line) -> str:
    """``1 quarantined, 4 loaded``."""
    outcomes = line["outcomes"]
    assert isinstance(outcomes, dict)
    known = [*OUTCOMES, *(name for name in outcomes if name not in OUTCOMES)]
    return ", ".join(f"{outcomes[name]} {name}" for name in known if name in outcomes)


def _by_target(held: Sequence[Row]) -> dict[str, dict[str, int]]:
    targets = dict.fromkeys(str(row["target"]) for row in held)
    return {name: _sums([row for row in held if row["target"] == name], TARGET) for name in targets}


def _sums(held: Sequence[Row], names: Sequence[str]) -> dict[str, int]:
    return {name.removeprefix("source_"): sum(row[name] for row in held) for name in names}


def _values(line: Line, account: str, names: Sequence[str]) -> list[object]:
    values = line[account]
    assert isinstance(values, dict)
    return [values[name.removeprefix("source_")] for name in names]
