"""What a definition may not say although its structure is right; each problem names the way out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from haulier.contracts import EXTRA, Contract
from haulier.definitions import Approval, Change, Instance, Pipeline, Pivot, Transform, Unpivot
from haulier.definitions.formats import Csv, Excel, FixedWidth, Format, JsonLines
from haulier.definitions.sources import KINDS, Custom, Files, Identifiers, Source
from haulier.errors import DefinitionError
from haulier.formats import problem_for
from haulier.http_checks import of_http
from haulier.identifiers import forbidden_name
from haulier.keys import check_name
from haulier.modules import FUNCTION
from haulier.patterns import problems_of_regex
from haulier.placeholders import is_remote, problems_of_path, problems_of_template
from haulier.problems import Problem, Trail, listed, nearest, quoted, suggestion
from haulier.schedules import problems_of_schedule
from haulier.sql_checks import increments_in, of_sql

_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Placeholders with a meaning of their own.
_RESERVED = ("instance", "pipeline", "date", "name", "path")
#: Text encodings of Python's that are no encoding of files.
_USUAL_ENCODINGS = ("utf-8", "cp1252", "latin-1", "iso-8859-1", "iso-8859-15", "cp1250", "utf-16", "ascii")
_NOT_FOR_FILES = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "mbcs", "oem"}
)
#: Mode -> why rows that delete have no place in it.
_WITHOUT_DELETIONS = {"append": "never deletes", "replace": "removes what is not sent"}
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATED = ("date", "timestamp", "time")
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
        *_one_format(source),
        *(problem for form in source.formats for problem in _format(form)),
        *(_identifiers(source.identifiers, source, transform) if source.identifiers else ()),
        *_transform(transform, filled),
        *_typed_drift(source, transform),
        *(_pivot(transform.pivot, source, transform) if transform.pivot else ()),
    ]


def of_target(instance: Instance, contract: Contract, contract_shown: str) -> list[Problem]:
    """What can be judged only with the instance and its contract side by side."""
    return [
        *_against_contract(instance.transform, contract, contract_shown),
        *_load_against_contract(instance, contract, contract_shown),
        *_room_for_extra(instance.transform, contract, contract_shown),
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


def of_change(source: Source, before: Source) -> Iterator[Problem]:
    """What a change may not alter: how far a source was read means nothing in another kind of source."""
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


def _one_format(source: Source) -> Iterator[Problem]:
    for form in source.formats if source.http else ():
        if not isinstance(form, (Csv, JsonLines)):
            yield Problem(
                ("source", form.section),
                "is for files; an API answers JSON, or CSV: remove it, or write csv",
                " ",
            )
    for form in source.formats if source.sql else ():
        yield Problem(
            ("source", form.section), "is for files; a database's columns have types: remove it", " "
        )
    first, *others = [form.section for form in source.formats] or [""]
    for other in others:
        yield Problem(
            ("source", other),
            f"stands beside source.{first}, and a file has one format; remove one of the two "
            f"(an instance takes the pipeline's away with {first}: null)",
            " ",
        )


def _format(form: Format) -> Iterator[Problem]:
    if isinstance(form, (Csv, JsonLines, FixedWidth)):
        yield from _encoding(form.encoding, form.section)
    if isinstance(form, Csv):
        yield from _csv(form)
    elif isinstance(form, FixedWidth):
        yield from _fixed(form)


def _fixed(form: FixedWidth) -> Iterator[Problem]:
    for at, (before, after) in enumerate(pairwise(form.places), start=1):
        if after[0] < before[1]:
            yield Problem(
                ("source", "fixed", "columns", at, "start"),
                f"{after[0] + 1} lies inside {quoted(form.columns[at - 1].name)}, which ends at {before[1]}",
            )


def _csv(csv: Csv) -> Iterator[Problem]:
    trail: Trail = ("source", "csv", "delimiter")
    if not csv.delimiter.isascii() or csv.delimiter in "\r\n\0":
        yield Problem(trail, f"{quoted(csv.delimiter)} cannot separate columns; use one ASCII character")
    elif csv.delimiter == csv.quote:
        yield Problem(
            trail, f"{quoted(csv.delimiter)} is the quote character as well; change source.csv.quote or this"
        )
    if not csv.quote.isascii() or csv.quote in ("\r", "\n", "\0"):
        yield Problem(
            ("source", "csv", "quote"),
            f'{quoted(csv.quote)} cannot quote; use one ASCII character, or "" for none',
        )
    if csv.footer.pattern is not None:
        yield from problems_of_regex(csv.footer.pattern, ("source", "csv", "footer", "pattern"))


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


def _encoding(encoding: str, section: str) -> Iterator[Problem]:
    import codecs

    trail = ("source", section, "encoding")
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError):
        from encodings.aliases import aliases

        near = nearest(encoding, _USUAL_ENCODINGS, 0.7) or nearest(encoding, sorted({*aliases.values()}), 0.7)
        hint = f"did you mean {quoted(near)}?" if near else f"such as {listed(_USUAL_ENCODINGS[:3])} is"
        yield Problem(trail, f"{quoted(encoding)} is not an encoding; {hint}")
        return
    if not getattr(found, "_is_text_encoding", True) or found.name in _NOT_FOR_FILES:
        yield Problem(
            trail,
            f"{quoted(encoding)} is no encoding of text files; such as {listed(_USUAL_ENCODINGS[:3])} is",
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
        yield from _unpivot(transform.unpivot, transform.columns, filled)


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


def _unpivot(unpivot: Unpivot, columns: Mapping[str, str], filled: set[str]) -> Iterator[Problem]:
    trail: Trail = ("transform", "unpivot")
    if not unpivot.columns:
        yield Problem((*trail, "columns"), "names no column", " ")
    if unpivot.names_to == unpivot.values_to:
        yield Problem(
            (*trail, "values_to"), f"{quoted(unpivot.values_to)} receives the labels already (names_to)"
        )
    for source, label in unpivot.columns.items():
        if source in columns:
            yield Problem(
                ("transform", "columns", source),
                "is unpivoted, so it has no column of its own; remove one of the two",
                " ",
            )
        twins = [other for other, same in unpivot.columns.items() if same == label]
        if source != twins[0]:
            yield Problem((*trail, "columns", source), f"{quoted(label)} is the label of {twins[0]} already")
    yield from _along(unpivot, columns, filled)


def _along(unpivot: Unpivot, columns: Mapping[str, str], filled: set[str]) -> Iterator[Problem]:
    """What goes along with cells: of labels there are, from columns that are nothing else."""
    labels = list(unpivot.columns.values())
    for word in ("beside", "constants"):
        for target, by_label in getattr(unpivot, word).items():
            for label in by_label:
                trail: Trail = ("transform", "unpivot", word, target, label)
                if label not in labels:
                    yield Problem(
                        trail, f"is no label of transform.unpivot.columns{suggestion(label, labels)}", " "
                    )
                elif word == "constants" and label in unpivot.beside.get(target, ()):
                    yield Problem(trail, "is in transform.unpivot.beside as well; remove one of the two", " ")
    for target, by_label in unpivot.beside.items():
        for label, source in by_label.items():
            places = {"columns": columns, "unpivot.columns": unpivot.columns}
            for place in (place for place, named in places.items() if source in named):
                yield Problem(
                    ("transform", "unpivot", "beside", target, label),
                    f"{quoted(source)} is in transform.{place} as well; remove one of the two",
                )
    for target, by_label in unpivot.constants.items():
        for label, text in by_label.items():
            yield from problems_of_template(
                text, ("transform", "unpivot", "constants", target, label), filled
            )


def _pivot(pivot: Pivot, source: Source, transform: Transform) -> Iterator[Problem]:
    trail: Trail = ("transform", "pivot")
    if transform.unpivot is not None:
        yield Problem(("transform", "unpivot"), "stands beside transform.pivot; remove one of the two", " ")
    if source.sends_events or (source.sql and source.sql.watermark):
        yield Problem(
            trail,
            "needs all rows of a group together, and this source brings those that changed; remove it",
            " ",
        )
    for word, what in (("by", "column"), ("items", "item")):
        if not getattr(pivot, word):
            yield Problem((*trail, word), f"names no {what}", " ")
    for item in pivot.ignore:
        if item in pivot.items:
            yield Problem(
                (*trail, "ignore"),
                f"{quoted(item)} is in transform.pivot.items as well; remove one of the two",
            )
    problems = list(problems_of_regex(pivot.pattern, (*trail, "pattern"), only_regular=True))
    yield from problems
    groups: list[str] = []
    if not problems:
        pattern = re.compile(pivot.pattern)
        groups = list(pattern.groupindex)
        if "item" not in groups:
            yield Problem(
                (*trail, "pattern"), f"{quoted(pivot.pattern)} has no group item; write it as (?P<item>…)"
            )
        if pattern.groups > len(groups):
            yield Problem(
                (*trail, "pattern"),
                f"{quoted(pivot.pattern)} has a group without a name; name it, or write (?:…)",
            )
    yield from _pivoted_twice(pivot, groups)


def _pivoted_twice(pivot: Pivot, groups: Iterable[str]) -> Iterator[Problem]:
    """Columns of which there would be two: among those that are read, and among those that are made."""
    trail: Trail = ("transform", "pivot")
    read: list[tuple[Trail, str]] = [((*trail, "by", at), name) for at, name in enumerate(pivot.by)]
    read += [((*trail, word), getattr(pivot, word)) for word in ("names_from", "values_from")]
    made: list[tuple[Trail, str]] = [((*trail, "pattern"), name) for name in groups if name != "item"]
    made += [((*trail, "items", item), column) for item, column in pivot.items.items()]
    for columns, known in ((read, ()), (made, pivot.by)):
        seen = {name.strip().casefold() for name in known}
        for place, name in columns:
            folded = name.strip().casefold()
            if folded in seen:
                yield Problem(place, f"{quoted(name)} is a column of transform.pivot already; choose another")
            seen.add(folded)


def _against_contract(transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    columns = {column.name: column for column in contract.columns}
    for source, target in transform.columns.items():
        yield from _fed(target, contract, shown, ("transform", "columns", source))
        if transform.unpivot and target in transform.unpivot.fills:
            yield Problem(
                ("transform", "columns", source), f"{quoted(target)} is filled by transform.unpivot"
            )
    for target in transform.constants:
        yield from _constant(target, transform, contract, shown)
    for target in transform.date_formats:
        trail: Trail = ("transform", "date_formats", target)
        if target not in columns:
            yield Problem(trail, f"is not a column of {shown}{suggestion(target, columns)}", " ")
        elif columns[target].logical_type not in _DATED:
            yield Problem(
                trail, f"is a column of {columns[target].pg_type}; formats are for dates and times", " "
            )
        else:
            for position, text in enumerate(transform.date_formats[target]):
                if reason := problem_for(text, columns[target].logical_type):
                    yield Problem((*trail, position), reason)
    if transform.unpivot is not None:
        yield from _unpivot_against_contract(transform.unpivot, transform.functions, contract, shown)
    derived = [column.name for column in contract.columns if column.derived]
    if derived and not transform.functions:
        yield Problem(
            ("transform", "functions"),
            f"{listed(derived, 'and')} of {shown} {'is' if len(derived) == 1 else 'are'} derived "
            "(transformLogic), so name the function that computes what the source does not have",
        )


def _constant(target: str, transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    """A column of the contract that nothing else fills."""
    trail: Trail = ("transform", "constants", target)
    yield from _fed(target, contract, shown, trail)
    sources = [source for source, filled in transform.columns.items() if filled == target]
    if sources:
        yield Problem(
            trail, f"is filled from {quoted(sources[0])} in transform.columns; remove one of the two", " "
        )
    if transform.unpivot and target in transform.unpivot.fills:
        yield Problem(trail, "is filled by transform.unpivot; remove one of the two", " ")


def _fed(target: str, contract: Contract, shown: str, trail: Trail) -> Iterator[Problem]:
    """A column of the contract that source values may go to."""
    columns = {column.name: column for column in contract.columns}
    if target not in columns:
        yield Problem(trail, f"{quoted(target)} is not a column of {shown}{suggestion(target, columns)}")
    elif columns[target].derived:
        yield Problem(
            trail, f"{quoted(target)} is derived (transformLogic in {shown}), so nothing is read into it"
        )


def _unpivot_against_contract(
    unpivot: Unpivot, functions: Sequence[str], contract: Contract, shown: str
) -> Iterator[Problem]:
    trail: Trail = ("transform", "unpivot")
    columns = {column.name: column for column in contract.columns}
    yield from _fed(unpivot.names_to, contract, shown, (*trail, "names_to"))
    yield from _fed(unpivot.values_to, contract, shown, (*trail, "values_to"))
    for target in unpivot.along:
        yield from _along_against_contract(target, unpivot, contract, shown)
    labelled = columns.get(unpivot.names_to)
    if labelled is None:
        return
    if labelled.logical_type != "string":
        yield Problem(
            (*trail, "names_to"), f"{quoted(labelled.name)} is {labelled.pg_type} in {shown}; labels are text"
        )
    # Functions may make the key of the label, as a code of the name that a column's label is.
    of_functions = bool(functions) and any(
        column.key_position and column.derived for column in contract.columns
    )
    if contract.key and labelled.key_position is None and not of_functions:
        yield Problem(
            (*trail, "names_to"),
            f"{quoted(labelled.name)} must be in the primary key of {shown}, "
            "or the rows made of one row have the same key",
        )
    for source, label in unpivot.columns.items():
        if labelled.enum is not None and label not in labelled.enum:
            place: Trail = (*trail, "columns", source)
            yield Problem(
                place,
                f"{quoted(label)} is not in the enum of {labelled.name} in {shown}"
                f"{suggestion(label, labelled.enum)}",
            )


def _along_against_contract(
    target: str, unpivot: Unpivot, contract: Contract, shown: str
) -> Iterator[Problem]:
    trail: Trail = ("transform", "unpivot", "beside" if target in unpivot.beside else "constants", target)
    yield from _fed(target, contract, shown, trail)
    if target in (unpivot.names_to, unpivot.values_to):
        yield Problem(trail, "is filled by transform.unpivot itself (names_to, values_to); remove it", " ")
    named = {*unpivot.beside.get(target, ()), *unpivot.constants.get(target, ())}
    without = [label for label in unpivot.columns.values() if label not in named]
    required = [
        c for c in contract.columns if c.name == target and (c.required or c.key_position is not None)
    ]
    if required and without:
        yield Problem(
            trail,
            f"is required in {shown} and has nothing for {listed(without, 'and')}; name a column or a constant",
            " ",
        )


def _room_for_extra(transform: Transform, contract: Contract, shown: str) -> Iterator[Problem]:
    names = [column.name for column in contract.columns]
    names += [name for name in (contract.deleted_at, contract.valid_to, contract.is_current) if name]
    if transform.drift.new_column == "keep" and EXTRA in (name.casefold() for name in names):
        yield Problem(
            ("transform", "drift", "new_column"),
            f'"keep" fills the column {EXTRA}, which {shown} has for something else; rename that one',
        )


def _load_against_contract(instance: Instance, contract: Contract, shown: str) -> Iterator[Problem]:
    mode, marker = instance.load.mode, contract.marker
    if mode != "append" and not contract.key:
        yield Problem(
            ("load", "mode"),
            f"{quoted(mode)} needs a primary key and {shown} declares none; "
            'declare primaryKey there, or use "append"',
        )
    if (mode == "scd2") is not bool(contract.valid_to):
        why = (
            f'"scd2" keeps every version of a row; say in {shown} with validTo until when each holds'
            if mode == "scd2"
            else f'{shown} has validTo, so it keeps every version of a row; use "scd2"'
        )
        yield Problem(("load", "mode"), why)
    if instance.source.sql:
        yield from increments_in(instance.source.sql, mode, contract, shown)
    if marker and mode in _WITHOUT_DELETIONS:
        yield Problem(
            ("load", "mode"),
            f"{quoted(mode)} {_WITHOUT_DELETIONS[mode]}, and {marker.name} of {shown} has deletes; "
            'use "upsert"',
        )
    if instance.split and instance.transform.pivot:
        yield Problem(
            ("split",), "would divide groups that transform.pivot brings together; remove one of the two", " "
        )
    yield from _of_events(instance, contract, shown)
    yield from _removal(instance, contract, shown)
    if marker and instance.transform.unpivot is not None:
        yield Problem(
            ("transform", "unpivot"),
            f"makes several rows of one, and {marker.name} of {shown} has deletes: which of them would be gone?",
            " ",
        )


def _removal(instance: Instance, contract: Contract, shown: str) -> Iterator[Problem]:
    """Rows that go because they are no longer sent: only where what is sent is known to be everything."""
    trail = ("load", "removal_threshold")
    mode, marker, files = instance.load.mode, contract.marker, instance.source.files
    is_set = instance.load.removal_threshold is not None
    if contract.deleted_at and not marker and not (is_set and mode == "upsert"):
        text = (
            f"{shown} has deletedAt and no column with deletes, so only load.removal_threshold of "
            '"upsert" would fill it; say one of them, or remove deletedAt'
        )
        yield Problem(("load",), text)
    if not is_set:
        return
    if mode not in ("upsert", "replace"):
        yield Problem(
            trail,
            f'is for "upsert" of cumulative files and for "replace", and load.mode is {quoted(mode)}; remove it',
            " ",
        )
    elif mode == "upsert" and (files is None or files.content != "cumulative"):
        yield Problem(
            trail,
            "takes rows away that are no longer sent, and only cumulative files are known to hold everything; "
            'write source.files.content: cumulative, use "replace", or remove it',
            " ",
        )
    elif mode == "upsert" and (marker or contract.keeping):
        name, what = (marker.name, "deletes") if marker else (contract.keeping[0].name, "unchangedValues")
        yield Problem(
            trail,
            f"stands beside {name} of {shown}, which has {what}: such rows are events, and of events a missing one "
            "says nothing; remove one of the two",
            " ",
        )


def _of_events(instance: Instance, contract: Contract, shown: str) -> Iterator[Problem]:
    """What only `upsert` can make of values that an event does not carry."""
    if not contract.keeping:
        return
    what = f"{contract.keeping[0].name} of {shown} has unchangedValues"
    if instance.load.mode != "upsert":
        yield Problem(
            ("load", "mode"),
            f'{quoted(instance.load.mode)} has no row whose value could be kept, and {what}; use "upsert"',
        )
    for name, why in (
        ("functions", "would be given rows whose values are not known"),
        ("unpivot", "makes rows of cells whose values are not known"),
        ("pivot", "makes rows of cells whose values are not known"),
    ):
        if getattr(instance.transform, name):
            yield Problem(("transform", name), f"{why}, and {what}; do without one of the two", " ")
