"""What a table should hold after any sendings, in pure Python and without a thought for how load does it.

A sending is (day, instance, {logical name: rows}); the same (day, instance) again is a new generation, which
hauls the last file of each name. A row is (key, colour, edit, whether it deletes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple


class Word(NamedTuple):
    """One row that counts, with its version."""

    version: tuple[Any, ...]
    key: str
    colour: str | None
    day: int


def contents(sendings, by_edit) -> Iterator[tuple[int, str, list[Word]]]:
    """(day, instance, its rows) of every generation in the order they were sent; a file that contradicts
    itself about a key says nothing about it."""
    sequence, generation, files = Counter(), Counter(), {}
    for day, instance, sent in sendings:
        generation[day, instance] += 1
        for name, rows in sent.items():
            sequence[instance, name] += 1
            files.setdefault((day, instance), {})[name] = (sequence[instance, name], rows)
        words = []
        for name, (number, rows) in files[day, instance].items():
            for key in {row[0] for row in rows}:
                own = [
                    (edit * by_edit, n, None if d else c)
                    for n, (k, c, edit, d) in enumerate(rows, 2)
                    if k == key
                ]
                if len({colour for edit, _, colour in own if edit == max(own)[0]}) == 1:
                    for edit, n, colour in own:
                        version = (
                            edit if by_edit else day,
                            number,
                            generation[day, instance],
                            n,
                            instance,
                            name,
                        )
                        words.append(Word(version, key, colour, day))
        yield day, instance, words


def newest(words) -> dict[str, Word]:
    table = {}
    for word in sorted(words):
        table[word.key] = word
    return table


def append(sendings, by_edit):
    """Every row of each run's last generation."""
    last = {}
    for day, instance, sent in sendings:
        last.setdefault((day, instance), {}).update(sent)
    rows = [(k, c) for sent in last.values() for rows in sent.values() for k, c, *_ in rows]
    return sorted(rows)


def upsert(sendings, by_edit):
    """The newest word on each key; a deletion is one, too."""
    table = newest(word for *_, words in contents(sendings, by_edit) for word in words)
    return sorted((key, word.colour) for key, word in table.items() if word.colour is not None)


def mark(sendings, by_edit):
    """The newest row of each key, and the day of its newest deletion if that is newer."""
    words = [word for *_, words in contents(sendings, by_edit) for word in words]
    rows = newest(word for word in words if word.colour is not None)
    gone = newest(word for word in words if word.colour is None)
    return sorted(
        (key, row.colour, gone[key].day if key in gone and gone[key].version > row.version else None)
        for key, row in rows.items()
    )


def replace(sendings, by_edit):
    """Of each instance the last generation with rows of its last day with rows."""
    share = {}
    for day, instance, words in contents(sendings, by_edit):
        if words and day >= share.get(instance, (day,))[0]:
            share[instance] = (day, newest(words))
    return sorted((key, word.colour) for _, table in share.values() for key, word in table.items())


def scd2(sendings, by_edit):
    """Every version of each key, from its edit to the next one's or a deletion's."""
    apart = [
        (day, instance, {name: [((k, e), c, 0, d) for k, c, e, d in rows] for name, rows in sent.items()})
        for day, instance, sent in sendings
    ]
    events = newest(word for *_, words in contents(apart, False) for word in words)
    return sorted(
        (key, word.colour, edit, min((e for k, e in events if k == key and e > edit), default=None))
        for (key, edit), word in events.items()
        if word.colour is not None
    )
