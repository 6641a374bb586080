"""What a definition may not say although its structure is right; each problem names the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from haulier.checks.columns import columns_in, derived_in, extra_in
from haulier.checks.formats import of_formats
from haulier.checks.http import of_http
from haulier.checks.landing import load_in
from haulier.checks.layouts import of_pivot, of_unpivot, unpivot_in
from haulier.checks.sql import of_sql
from haulier.contracts import Contract
from haulier.definitions import Approval, Change, Instance, Pipeline, Transform
from haulier.definitions.formats import Csv, Excel, FixedWidth, JsonLines
from haulier.definitions.sources import KINDS, Custom, Files, Identifiers, Source, Sql
from haulier.errors import DefinitionError
from haulier.identifiers import forbidden_name
from haulier.keys import check_name
from haulier.modules import FUNCTION
from haulier.patterns import problems_of_regex
from haulier.placeholders import asked_with, is_remote, problems_of_path, problems_of_template
from haulier.problems import Problem, Trail, nearest, quoted
from haulier.schedules import problems_of_schedule

_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Placeholders with a meaning of their own.
_RESERVED = ("instance", "pipeline", "date", "name", "path")
_SHA256 = re.compile(r"[0-9a-f]{64}")
#: Formats whose columns have no types of their own.
_UNTYPED = (Csv, JsonLines, FixedWidth, Excel)


def of_pipeline(pipeline: Pipeline, file_stem: str) -> list[Problem]:
    """What can be judged of a file without merging an instance."""
    return [
        *_name(pipeline.pipeline, ("pipeline",)),
        *_file_name(pipeline.pipeline, file_stem),
        *problems_of_schedule(pipeline.schedule),
        *_approval(pipeline.approval),
        *(problem for name in pipeline.instances for problem in _name(name, ("instances", name))),
        *(
            problem
            for name, override in pipeline.instances.items()
            for problem in (
                *_parameters(override.parameters, ("instances", name, "parameters")),
                *_changes(override.changes, ("instances", name, "changes")),
            )
        ),
    ]


def of_instance(source: Source, transform: Transform, parameters: Mapping[str, str]) -> list[Problem]:
    """What can be judged of an instance without its contract."""
    filled = {"instance", "pipeline", *parameters}
    return [
        *_one_source(source),
        *(_files(source.files, filled) if source.files else ()),
        *(of_http(source.http, source.csv, filled) if source.http else ()),
        *(_custom(source.custom, filled) if source.custom else ()),
        *(of_sql(source.sql, filled) if source.sql else ()),
        *of_formats(source),
        *(_identifiers(source.identifiers, source, transform) if source.identifiers else ()),
        *_transform(transform, filled),
        *_typed_drift(source, transform),
        *(of_pivot(transform.pivot, source, transform) if transform.pivot else ()),
    ]


def of_target(instance: Instance, contract: Contract, shown: str) -> list[Problem]:
    """What can be judged only with the instance and its contract side by side."""
    transform, unpivot = instance.transform, instance.transform.unpivot
    return [
        *columns_in(transform, contract, shown),
        *(unpivot_in(unpivot, transform.functions, contract, shown) if unpivot else ()),
        *derived_in(transform, contract, shown),
        *load_in(instance, contract, shown),
        *extra_in(transform, contract, shown),
    ]


def _name(value: str, trail: Trail) -> Iterator[Problem]:
    try:
        check_name(value, "")
    except DefinitionError as exc:
        yield Problem(trail, str(exc).removeprefix(": "))


def _approval(approval: Approval | None) -> Iterator[Problem]:
    if approval and approval.author.casefold().split() == approval.approver.casefold().split():
        yield Problem(
            ("approval", "approver"), f"{quoted(approval.approver)} is the author; somebody else approves"
        )
    if approval and not _SHA256.fullmatch(approval.digest):
        yield Problem(
            ("approval", "digest"),
            f"{quoted(approval.digest)} is no digest; haulier check --digests says the right one",
        )


def _file_name(pipeline: str, file_stem: str) -> Iterator[Problem]:
    if pipeline != file_stem:
        yield Problem(
            ("pipeline",),
            f"{quoted(pipeline)} must be the file's name, {quoted(file_stem)}; rename one of the two",
        )


def _changes(changes: Sequence[Change], trail: Trail) -> Iterator[Problem]:
    for number, change in enumerate(changes):
        yield from _parameters(change.parameters, (*trail, number, "parameters"))
        if number and change.since <= changes[number - 1].since:
            yield Problem(
                (*trail, number, "since"),
                f"{change.since} is not after {changes[number - 1].since}, the change before it; write them in the order of days",
            )


def of_change(
    source: Source, before: Source, parameters: Mapping[str, str], earlier: Mapping[str, str]
) -> Iterator[Problem]:
    """What a change may not alter, both filled in: how far a source was read means nothing in another one.

    ``parameters`` and ``earlier`` are what a query is asked with, now and before.
    """
    if (source.kind, source.position, source.as_it_stands) != (
        before.kind,
        before.position,
        before.as_it_stands,
    ):
        yield Problem(
            ("source", source.kind),
            "is another kind of source than before this change; give it an instance of its own",
            " ",
        )
    elif source.position:
        for trail, said in _read_from(source.sql).items():
            if said != _read_from(before.sql).get(trail):
                yield Problem(
                    trail,
                    "is not what it was before this change, and how far that was read means nothing here; "
                    "give it an instance of its own",
                    " ",
                )
        for name in asked_with(source.sql.statement if source.sql else ""):
            if parameters.get(name) != earlier.get(name):
                yield Problem(
                    ("parameters", name),
                    "is not what it was before this change, and source.sql.query asks with it: how far that was read "
                    "means nothing among other rows; give it an instance of its own",
                    " ",
                )


def _read_from(sql: Sql | None) -> dict[Trail, str | None]:
    """What the state of a source is about: how far this was read."""
    if sql is None:
        return {}
    return {
        ("source", "sql", "url"): sql.url,
        ("source", "sql", "table" if sql.table else "query"): sql.table or sql.query,
        ("source", "sql", "watermark", "column"): sql.watermark.column if sql.watermark else None,
        ("source", "sql", "changes", "slot"): sql.changes.slot if sql.changes else None,
    }


def _parameters(parameters: Mapping[str, str | None], trail: Trail) -> Iterator[Problem]:
    for name in parameters:
        if name in _RESERVED:
            yield Problem((*trail, name), "has a meaning already; choose another name", " ")
        elif not _PARAMETER.fullmatch(name):
            yield Problem(
                (*trail, name), "cannot be a placeholder; use letters, digits and _, first a letter", " "
            )


def _one_source(source: Source) -> Iterator[Problem]:
    first, *others = [kind for kind in KINDS if getattr(source, kind)] or [""]
    if not first:
        yield Problem(
            ("source",), f"names no source; write {', '.join(KINDS[:-1])} or {KINDS[-1]} below it", " "
        )
    for other in others:
        yield Problem(
            ("source", other), f"stands beside source.{first}; a pipeline has one source: remove one", " "
        )


def _custom(custom: Custom, filled: set[str]) -> Iterator[Problem]:
    if not FUNCTION.fullmatch(custom.use):
        yield Problem(
            ("source", "custom", "use"),
            f'{quoted(custom.use)} is not module.function, such as "shop.orders" for orders() in sources/shop.py',
        )
    for name, value in custom.options.items():
        if isinstance(value, str):
            yield from problems_of_template(value, ("source", "custom", "options", name), filled)


def _files(files: Files, filled: set[str]) -> Iterator[Problem]:
    yield from problems_of_template(files.path, ("source", "files", "path"), filled, dates=True)
    trail: Trail = ("source", "files", "logical_name")
    yield from problems_of_template(files.logical_name, trail, {*filled, "name", "path"})
    trail = ("source", "files", "ready", "marker")
    yield from problems_of_template(files.ready.marker or "", trail, {*filled, "name"})
    yield from problems_of_path(files.path, files.select)
    yield from _waiting(files)


def _waiting(files: Files) -> Iterator[Problem]:
    if files.ready.wait_minutes and is_remote(files.path):
        yield Problem(
            ("source", "files", "ready", "wait_minutes"),
            "is for files in a folder: nothing looks into a remote store before a run; schedule it later, or look back",
            " ",
        )


def _identifiers(identifiers: Identifiers, source: Source, transform: Transform) -> Iterator[Problem]:
    trail: Trail = ("source", "identifiers")
    if not identifiers.columns and not identifiers.patterns:
        yield Problem(trail, "names nothing that may not be there; write columns or patterns below it", " ")
    for name, pattern in identifiers.patterns.items():
        place = (*trail, "patterns", name)
        problems = list(problems_of_regex(pattern, place, only_regular=True))
        yield from problems
        if not problems and re.search(pattern, ""):
            yield Problem(
                place, f"{quoted(pattern)} matches an empty cell, so that no file would get past it"
            )
    expected = {
        **{name: ("transform", "columns", name) for name in transform.columns},
        **{
            name: ("transform", "unpivot", "columns", name)
            for name in (transform.unpivot.columns if transform.unpivot else ())
        },
        **{
            column.name: ("source", "fixed", "columns", at, "name")
            for at, column in enumerate(source.fixed.columns if source.fixed else ())
        },
    }
    for name, where in expected.items():
        if (forbidden := forbidden_name(identifiers, name)) is not None:
            yield Problem(
                where,
                f"{quoted(name)} is a name that source.identifiers.columns stops ({quoted(forbidden)}); exempt it "
                "there, or do without it",
            )


def _transform(transform: Transform, filled: set[str]) -> Iterator[Problem]:
    for position, name in enumerate(transform.functions):
        if not FUNCTION.fullmatch(name):
            yield Problem(
                ("transform", "functions", position),
                f'{quoted(name)} is not module.function, such as "clinical.labs" '
                "for labs() in functions/clinical.py",
            )
    if transform.reshape and not transform.functions:
        yield Problem(
            ("transform", "reshape"),
            "no function is named that could reshape; name it in transform.functions",
        )
    if transform.references and not transform.functions:
        yield Problem(
            ("transform", "references"),
            "no function is named that could read them; name it in transform.functions",
        )
    for column, formats in transform.date_formats.items():
        if not formats:
            yield Problem(("transform", "date_formats", column), "names no format", " ")
    for column, text in transform.constants.items():
        yield from problems_of_template(text, ("transform", "constants", column), filled)
    yield from _time_zone(transform.time_zone)
    if transform.unpivot is not None:
        yield from of_unpivot(transform.unpivot, transform.columns, filled)


def _typed_drift(source: Source, transform: Transform) -> Iterator[Problem]:
    form = source.format
    for kind in ("widened", "narrowed", "retyped"):
        if isinstance(form, _UNTYPED) and getattr(transform.drift, kind) == "stop":
            yield Problem(
                ("transform", "drift", kind),
                f'"stop" would never stop: source.{form.section} has no types, and each of its values is judged by the '
                "contract; remove it",
            )


def _time_zone(name: str) -> Iterator[Problem]:
    if name == "UTC":
        return
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        near = nearest(name, sorted(available_timezones()))
        hint = f"did you mean {quoted(near)}?" if near else 'use a name such as "Europe/Berlin" or "UTC"'
        yield Problem(("transform", "time_zone"), f"{quoted(name)} is not a time zone; {hint}")
