"""`haulier doctor`: everything a run needs, looked at for real, with what to do about what is wrong."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from haulier.errors import HaulierError, worst
from haulier_command.choice import add_instance_options
from haulier_command.doctor import Look, Looking, machine
from haulier_command.output import Lines, Screen, Table, columns
from haulier_command.surroundings import Surroundings
from haulier_command.words import counted

EPILOG = """\
It writes a few small objects below _doctor/ in exchange and archive, and
nothing else.
Exit code: 0, also with warnings; 2, something is set wrong; 75, something
cannot be reached now.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_instance_options(parser)


def doctor(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    found = _looked(asked, around)
    code = worst(look.code for look in found)
    bad = [look for look in found if look.state != "ok"]
    screen.show(
        {
            "ok": code == 0,
            "exit_code": code,
            "looks": [
                {
                    "at": one.at,
                    "what": one.what,
                    "state": one.state,
                    "found": one.found,
                    "advice": one.advice,
                    "exit_code": one.code,
                }
                for one in found
            ],
        },
        Table(
            title="What a run needs",
            columns=columns("", "what", "state!", "found"),
            rows=[(one.at, one.what, one.state, one.found) for one in found],
        ),
        Lines(title="What to do", lines=[f"{one.at}, {one.what}: {one.advice or one.found}" for one in bad])
        if bad
        else Lines(lines=[f"All is well: {counted(len(found), 'look')}."]),
    )
    return code


def _looked(asked: Namespace, around: Surroundings) -> list[Look]:
    settings = Looking("settings")
    try:
        told = around.settings
    except HaulierError as exc:
        # Without them nothing else can be asked for.
        return [
            settings.error("environment", exc, "docs/environment.md has every variable"),
            *machine.looks(around.environ, around.home),
        ]

    from haulier_command.doctor import postgres, store

    asks: list[Callable[[], Iterable[Look]]] = [
        lambda: machine.looks(around.environ, around.home),
        lambda: postgres.looks(told),
        lambda: store.looks(told),
        lambda: store.archive_looks(told),
        lambda: _definitions(asked, around),
    ]
    with ThreadPoolExecutor() as pool:
        answers = [pool.submit(_all, ask) for ask in asks]
        found = [look for answer in answers for look in answer.result()]
    return [settings.ok("environment", "every variable can be read"), *found]


def _all(ask: Callable[[], Iterable[Look]]) -> list[Look]:
    return list(ask())


def _definitions(asked: Namespace, around: Surroundings) -> Iterable[Look]:
    """What `haulier check` says: definitions, targets, and every instance's source."""
    from haulier_command.verbs.check import checked

    look = Looking("pipelines")
    said: set[str] = set()
    elsewhere = ("exchange", "ledger")
    for one in checked(asked, around):
        if one.subject in elsewhere or one.text in said:
            continue  # looked at on its own
        said.add(one.text or one.by)
        if one.code:
            # What it says names the way out.
            advice = "try again when it is there" if one.code == 75 else ""
            yield look.fail(one.subject, one.text, advice, one.code)
        elif one.text:
            yield look.ok(one.subject, one.text)
        else:
            yield look.ok(one.by, "all it needs of definitions, sources and targets")
