"""An API that is asked for an interval: what it answers is one delivery, page after page.

JSON is written down as JSON Lines, each row's text as the server sent it (white space between its
parts aside); CSV byte for byte. That is the original which the run keeps, so a rerun of later steps,
a replay or an audit never asks the API again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode, urlsplit

import msgspec

from haulier.definitions import Instance
from haulier.definitions.sources import Http
from haulier.interval import Interval
from haulier.placeholders import fill_instants
from haulier.settings import Settings
from haulier_extract.sources import Found, Newest, SourceFile
from haulier_extract.sources.http.client import Client
from haulier_extract.sources.http.pages import pages_of, records_in
from haulier_extract.sources.written import Written

#: A sample asks for no further page when it has so much.
_SAMPLE_BYTES = 256 * 1024


def find(instance: Instance, interval: Interval, settings: Settings) -> Found:
    """Everything the API says of the interval, as one file; none when it has no row.

    Raises `TransientError` when it cannot be reached or asks for patience too long, `DefinitionError`
    when it refuses the request, and `DataError` for an answer that is not what the definition says.
    """
    http = instance.source.http
    assert http is not None
    asked = _asked(http, interval)
    written = _answered(instance, http, asked, settings)
    if not written.size:
        return Found(files=())
    return Found(
        files=(
            SourceFile(
                uri=uri_of(http, asked),
                logical_name=_name(http, interval),
                sha256=written.sha256,
                bytes=written.size,
                # What an API says of an interval has no time of its own.
                modified_at=datetime.now(UTC),
                open=written.chunks,
            ),
        ),
        whole=True,
    )


def newest(instance: Instance, interval: Interval, settings: Settings) -> Newest | None:
    """The first pages of what `find` would ask for. Raises as it does."""
    http = instance.source.http
    assert http is not None
    # Somebody waits for the answer.
    http = msgspec.structs.replace(http, tries=min(http.tries, 2))
    asked = _asked(http, interval)
    written = _answered(instance, http, asked, settings, enough=_SAMPLE_BYTES)
    if not written.size:
        return None
    return Newest(
        uri=uri_of(http, asked),
        name=_name(http, interval),
        modified_at=datetime.now(UTC),
        open=written.chunks,
    )


def _answered(
    instance: Instance, http: Http, asked: dict[str, str], settings: Settings, *, enough: int | None = None
) -> Written:
    """Page after page, to the end or until there are so many bytes."""
    written = Written("the API answers")
    with Client(http, settings.secrets) as client:
        if instance.source.csv is not None:
            written.add(client.get(http.url, asked).body or b"")
            return written
        for body in pages_of(client, http, asked):
            written.add(b"".join(record + b"\n" for record in records_in(body, http)))
            if enough is not None and written.size >= enough:
                break
    return written


def _name(http: Http, interval: Interval) -> str:
    return f"{urlsplit(http.url).path.strip('/') or urlsplit(http.url).hostname} {interval.key}"


def reach(http: Http, settings: Settings, interval: Interval) -> None:
    """Ask once for the first page. Raises as `find` does."""
    with Client(msgspec.structs.replace(http, tries=1), settings.secrets) as client:
        next(iter(pages_of(client, http, _asked(http, interval))), None)


def _asked(http: Http, interval: Interval) -> dict[str, str]:
    return {name: fill_instants(text, interval.start, interval.end) for name, text in http.parameters.items()}


def uri_of(http: Http, asked: dict[str, str]) -> str:
    """What was asked, without who asked."""
    return f"{http.url}?{urlencode(asked)}" if asked else http.url
