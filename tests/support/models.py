"""What a table should hold after any events, in pure Python and without a thought for how load does it.

An event is a sending (day, instance, {logical name: rows}) or a `Replay`. The same (day, instance) sent again is a new
generation, which hauls the last file of each name. A row is (key, colour, edit, whether it deletes), or None where it
did not come as far as load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

Row = tuple[Any, str, int, bool]


class Replay(NamedTuple):
    """Rows of a generation that were rejected and are hauled again: (logical name, sequence) -> row number -> row."""

    day: int
    instance: str
    generation: int
    files: Mapping[tuple[str, int], Mapping[int, Row]]


class Word(NamedTuple):
    """One row that counts, with its version."""

    version: tuple[Any, ...]
    key: Any
    colour: str | None
    day: int


class Content(NamedTuple):
    """What one load brings."""

    day: int
    instance: str
    generation: int
    adds: bool
    words: list[Word]
    #: Whether every row it was sent is among the words.
    is_whole: bool


def contents(events, by_edit) -> Iterator[Content]:
    """The rows of every generation and replay in the order they came; a file that contradicts itself about a key
    says nothing about it."""
    sequence, generations, files = Counter(), Counter(), {}
    for event in events:
        if isinstance(event, Replay):
            day, instance, generation, said = event
        else:
            day, instance, sent = event
            generations[day, instance] += 1
            generation = generations[day, instance]
            for name, rows in sent.items():
                sequence[instance, name] += 1
                files.setdefault((day, instance), {})[name] = (sequence[instance, name], rows)
            said = {
                (name, number): dict(enumerate(rows, 2))
                for name, (number, rows) in files[day, instance].items()
            }
        words, is_whole = [], not isinstance(event, Replay)
        for (name, number), rows in said.items():
            is_whole = is_whole and all(rows.values())
            rows = {n: row for n, row in rows.items() if row}
            for key in {row[0] for row in rows.values()}:
                own = [(e * by_edit, n, None if d else c) for n, (k, c, e, d) in rows.items() if k == key]
                if len({colour for edit, _, colour in own if edit == max(own)[0]}) == 1:
                    for edit, n, colour in own:
                        version = (edit if by_edit else day, number, generation, n, instance, name)
                        words.append(Word(version, key, colour, day))
                else:
                    is_whole = False
        yield Content(day, instance, generation, isinstance(event, Replay), words, is_whole)


def newest(words) -> dict[str, Word]:
    table = {}
    for word in sorted(words):
        table[word.key] = word
    return table


def append(events, by_edit):
    """Every row of each run's last generation that has one."""
    files, begun, table = {}, set(), {}
    for event in events:
        run = event[:2]
        if isinstance(event, Replay):
            rows = [row for rows in event.files.values() for row in rows.values() if row]
        else:
            files[run] = files.get(run, {}) | event[2]
            rows = [row for rows in files[run].values() for row in rows if row]
            begun.discard(run)
        if rows:
            table[run] = [*(table[run] if run in begun else []), *rows]
            begun.add(run)
    return sorted((key, colour) for rows in table.values() for key, colour, *_ in rows)


def append_by_key(events, by_edit):
    """Of each run's last generation that has one the rows whose key nobody had: who comes first keeps it."""
    table, begun = {}, set()
    for day, instance, _, adds, words, _ in contents(events, by_edit):
        run = day, instance
        if not adds:
            begun.discard(run)
        stays = {key: row for key, row in table.items() if run in begun or row[0] != run}
        said = {key: (run, word.colour) for key, word in newest(words).items()}
        if any(key not in stays or stays[key][1] == colour for key, (_, colour) in said.items()):
            table = said | stays
            begun.add(run)
    return sorted((key, colour) for key, (_, colour) in table.items())


def upsert(events, by_edit):
    """The newest word on each key; a deletion is one, too."""
    table = newest(word for one in contents(events, by_edit) for word in one.words)
    return sorted((key, word.colour) for key, word in table.items() if word.colour is not None)


def mark(events, by_edit):
    """The newest row of each key, and the day of its newest deletion if that is newer."""
    words = [word for one in contents(events, by_edit) for word in one.words]
    rows = newest(word for word in words if word.colour is not None)
    gone = newest(word for word in words if word.colour is None)
    return sorted(
        (key, row.colour, gone[key].day if key in gone and gone[key].version > row.version else None)
        for key, row in rows.items()
    )


def replace(events, by_edit):
    """Of each instance the last generation with rows of its last day with rows, and what replays add to that."""
    share = {}
    for day, instance, generation, adds, words, _ in contents(events, by_edit):
        at, has = share.get(instance, ((day, 0), []))
        if words and adds and at == (day, generation):
            share[instance] = (at, [*has, *words])
        elif words and day >= at[0]:
            share[instance] = ((day, generation), words)
    return sorted((key, word.colour) for _, words in share.values() for key, word in newest(words).items())


def cumulative(events, by_edit):
    """Of each key the newest word since the last content that had every row it was sent, but none of this key."""
    said = [one for one in contents(events, by_edit) if one.words]
    table = {}
    for instance, key in {(one.instance, word.key) for one in said for word in one.words}:
        own = [one for one in said if one.instance == instance]
        without = [
            (one.day, one.generation)
            for one in own
            if one.is_whole and key not in {word.key for word in one.words}
        ]
        words = [
            word._replace(version=(word.day, *word.version))
            for one in own
            if (one.day, one.generation) > max(without, default=(-1, 0))
            for word in one.words
            if word.key == key
        ]
        table.update(newest(words))
    return sorted((key, word.colour) for key, word in table.items())


def scd2(events, by_edit):
    """Every version of each key, from its edit to the next one's or a deletion's."""
    words = newest(word for one in contents([_apart(event) for event in events], False) for word in one.words)
    return sorted(
        (key, word.colour, edit, min((e for k, e in words if k == key and e > edit), default=None))
        for (key, edit), word in words.items()
        if word.colour is not None
    )


def _apart(event):
    """The same with versions of a key as keys of their own."""

    def version(row):
        return row and ((row[0], row[2]), row[1], 0, row[3])

    if isinstance(event, Replay):
        files = {name: {n: version(row) for n, row in rows.items()} for name, rows in event.files.items()}
        return event._replace(files=files)
    day, instance, sent = event
    return day, instance, {name: [version(row) for row in rows] for name, rows in sent.items()}
