"""`haulier plan`: the steps' plans chained in a temporary folder; nothing is written outside it."""

from __future__ import annotations

import re
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from haulier.accounts import TARGET
from haulier.errors import worst
from haulier_command.choice import add_instance_options, add_interval_options, one_interval
from haulier_command.output import Block, Lines, Screen, Table, columns
from haulier_command.steps import STEPS, Answer, Order, Processes, StepName
from haulier_command.surroundings import Surroundings
from haulier_command.words import counted, interval_name

if TYPE_CHECKING:
    from haulier.manifest import Manifest


def add_arguments(parser: ArgumentParser) -> None:
    add_instance_options(parser, required=True)
    add_interval_options(parser)
    parser.add_argument(
        "--reprocess", metavar="REASON", help="of a run that is done, too, as `run --reprocess` would haul it"
    )
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="keep the plan's files there; default: a temporary folder"
    )


def plan(asked: Namespace, around: Surroundings, screen: Screen) -> int:
    from haulier import loading

    interval = one_interval(asked)
    file = loading.load_pipeline(around.settings.definitions, asked.pipeline)
    instance, _ = loading.resolve(file, asked.instance or loading.ONLY_INSTANCE, interval.start)
    with (
        nullcontext(asked.into)
        if asked.into
        else tempfile.TemporaryDirectory(prefix="haulier-plan-") as folder
    ):
        into = Path(folder).absolute()
        orders = [
            Order(
                step=step,
                verb="plan",
                pipeline=instance.pipeline,
                instance=instance.instance,
                interval=interval,
                reprocess=asked.reprocess if step == "extract" else None,
                into=into,
            )
            for step in STEPS
        ]
        answers = _chain(orders, around, into)
        names = [order.step for order in orders]
        manifests = {order.step: _manifest(into, order) for order in orders[:2]}
    title = f"{instance.pipeline}/{instance.instance} {interval_name(interval)}"
    code = worst(answer.code for answer in answers)
    screen.show(_document(names, answers, code), *_blocks(title, names, answers, manifests))
    return code


def _chain(orders: list[Order], around: Surroundings, into: Path) -> list[Answer]:
    start = Processes(around.environ)
    answers: list[Answer] = []
    for order in orders:
        answers.append(start(order, into / f"{order.step}.log"))
        if order.step == "load" and answers[-1].result.get("models"):
            orders.append(replace(order, step="models"))
        if answers[-1].code or answers[-1].result.get("outcome") == "already done":
            break
    return answers


def _manifest(into: Path, order: Order) -> Manifest | None:
    from haulier.exchange import ObjectMissing
    from haulier.exchange.folder import FolderExchange
    from haulier.keys import RunKeys
    from haulier.sealing import read_manifest

    keys = RunKeys(pipeline=order.pipeline, instance=order.instance, interval=order.interval, content="plan")
    try:
        return read_manifest(FolderExchange(str(into)), keys, order.step)
    except ObjectMissing:
        return None


def _document(names: list[StepName], answers: list[Answer], code: int) -> dict[str, Any]:
    steps = {
        step: {"exit_code": answer.code, "error": answer.error or None, **answer.result}
        for step, answer in zip(names, answers, strict=False)
    }
    return {"exit_code": code, "steps": steps}


def _blocks(
    title: str,
    names: list[StepName],
    answers: list[Answer],
    manifests: Mapping[StepName, Manifest | None],
) -> list[Block]:
    last, step = answers[-1], names[len(answers) - 1]
    waits = [Lines(title="Files that wait", lines=list(answers[0].waits))] if answers[0].waits else []
    if last.code == 99:
        nothing = ["There is nothing new; a run would record that and stop.", *_NOTHING]
        return [*waits, Lines(title=title, lines=nothing)]
    if last.result.get("outcome") == "already done":
        done = f"It is done already (generation {last.result.get('generation')}); a run would find that and stop."
        anew = "--reprocess REASON says what hauling it anew would do."
        return [*waits, Lines(title=title, lines=[done, anew, *_NOTHING])]
    blocks: list[Block] = [Lines(title=f"If {title} ran now", lines=[])]
    if extracted := manifests.get("extract"):
        blocks.append(_deliveries(extracted, manifests.get("transform")))
    # Each step repeats what the one before it noted.
    notes = list(dict.fromkeys(note for answer in answers for note in answer.result.get("notes", ())))
    if last.code and not last.result:
        blocks.append(Lines(title=f"It would fail in {step} (exit {last.code})", lines=[last.error]))
    else:
        for name, answer in zip(names, answers, strict=False):
            if name == "load":
                blocks.append(_target(answer.counts))
            elif name == "models":
                blocks += _models(answer)
    if transformed := manifests.get("transform"):
        blocks.append(
            Table(
                title="Rules that rows break",
                columns=columns("rule", "rows#"),
                rows=sorted(transformed.rules.items(), key=itemgetter(1), reverse=True),
            )
        )
    ddl = [line.expandtabs(4) for note in notes if _DDL.match(note) for line in note.splitlines()]
    said = [note for note in notes if not _DDL.match(note)]
    if said:
        blocks.append(Lines(title="It would say", lines=said))
    if ddl:
        blocks.append(Lines(title="It would run this DDL first", lines=ddl, commands=True))
    blocks.append(Lines(lines=_NOTHING))
    return blocks


_DDL = re.compile(r"(CREATE|ALTER|COMMENT ON)\b")
_NOTHING = ["Nothing was written: not to the ledger, not to a table, not to the exchange."]


def _deliveries(extracted: Manifest, transformed: Manifest | None) -> Table:
    accounts = {account.delivery_id: account for account in (transformed or extracted).accounts}
    return Table(
        title=f"It would read {counted(len(extracted.deliveries), 'delivery', 'deliveries')}",
        columns=columns(
            "file", "sequence#", "bytes#", "read#", "accepted#", "filtered#?", "rejected#?", "stripped#?"
        ),
        rows=[
            (
                one.logical_name,
                one.sequence,
                one.bytes,
                *(
                    getattr(accounts.get(one.delivery_id), name, None)
                    for name in ("read", "accepted", "filtered", "rejected", "stripped")
                ),
            )
            for one in extracted.deliveries
        ],
    )


def _models(answer: Answer) -> list[Block]:
    """What each merge would do, and the others that would be built."""
    told = answer.counts.get("models", {})
    counted_ones = [_target(model) for model in told.values() if "produced" in model]
    others = [
        (name, one["materialized"], one["target"]) for name, one in told.items() if "produced" not in one
    ]
    standing = Table(title="It would then build", columns=columns("model", "as", "name"), rows=others)
    return [*counted_ones, *([standing] if others else [])]


def _target(counts: Mapping[str, Any]) -> Table:
    target = counts.get("target", "the table")
    held = counts.get("would_be") == "quarantined"
    return Table(
        title=f"It would be quarantined: too many rows are rejected, so none would enter {target}"
        if held
        else f"It would do this to {target}",
        columns=columns("rows", "number#"),
        rows=[(name, counts.get(name, 0)) for name in TARGET if counts.get(name) or name == "produced"],
        note="as they would be without the quarantine" if held else "",
    )
