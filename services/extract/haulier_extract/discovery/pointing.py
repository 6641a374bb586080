"""A source as a person points at it: a path, a pattern or an address, and nothing else."""

from __future__ import annotations

from urllib.parse import urlsplit

from haulier.checks import of_instance
from haulier.compression import compression
from haulier.definitions import Transform
from haulier.definitions.formats import Csv, Excel, JsonLines, Parquet
from haulier.definitions.sources import Files, Http, Source
from haulier.errors import DefinitionError
from haulier.placeholders import date_formats

#: End of a file's name -> the section of a definition that reads it; what is missing is delimited text.
ENDINGS = {
    "csv": "csv",
    "tsv": "csv",
    "txt": "csv",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "xlsx": "excel",
    "xls": "excel",
    "parquet": "parquet",
}
_FORMATS = {"csv": Csv, "jsonl": JsonLines, "excel": Excel, "parquet": Parquet}


def source_at(place: str) -> Source:
    """Files, of the format their name ends with; an address that ends with none is an API's.

    Raises `DefinitionError` for what a definition could not say either.
    """
    section = _section(place)
    if section is None and place.startswith(("https://", "http://")):
        source = Source(http=Http(url=place))
    else:
        files = Files(path=place, select="name" if date_formats(place) else "modified")
        # What delimited text is like is found out, so it is not named.
        named = {} if section in (None, "csv") else {section: _FORMATS[section]()}
        source = Source(files=files, **named)
    if problems := of_instance(source, Transform(), {}):
        # The place itself is not repeated: somebody may have written a password into an address.
        raise DefinitionError("\n".join(f"--from: {problem.words(None)}" for problem in problems))
    return source


def _section(place: str) -> str | None:
    name = urlsplit(place).path if "://" in place else place
    if packed := compression(name):
        name = name[: -len(packed) - 1]
    ending = name.rpartition("/")[2].rpartition(".")[2].lower()
    if ending in ("json", "pdf", "docx", "xml"):
        hint = "JSON Lines (.jsonl) is read" if ending == "json" else ""
        raise DefinitionError(f"--from: .{ending} is not read{'; ' + hint if hint else ''}")
    return ENDINGS.get(ending)
