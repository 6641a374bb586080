"""What a definition may not say of a file's format although its structure is right."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from haulier.definitions.formats import Csv, FixedWidth, Format, JsonLines
from haulier.definitions.sources import Source
from haulier.patterns import problems_of_regex
from haulier.problems import Problem, Trail, listed, nearest, quoted

#: Text encodings of Python's that are no encoding of files.
_USUAL_ENCODINGS = ("utf-8", "cp1252", "latin-1", "iso-8859-1", "iso-8859-15", "cp1250", "utf-16", "ascii")

_NOT_FOR_FILES = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "mbcs", "oem"}
)


def of_formats(source: Source) -> Iterator[Problem]:
    """What can be judged of a format without reading a file."""
    yield from _one_format(source)
    for form in source.formats:
        yield from _format(form)


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
