"""An answer and those that continue it: four ways, and the rows in each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urljoin

import msgspec

from haulier.definitions.sources import Http, Pages
from haulier.errors import DataError
from haulier_extract.sources.http.client import Answer, Client, NoSuchPage

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
#: One link of a Link header: its address and what follows (RFC 8288, 3).
_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s",;=]*\s*(?:=\s*(?:"(?:[^"\\]|\\.)*"|[^\s",;]*))?)*)')
_PARAMETER = re.compile(r';\s*([^\s",;=]*)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",;]*)))?')


def pages_of(client: Client, http: Http, asked: Mapping[str, str]) -> Iterator[bytes]:
    """The bodies that say something, one after another.

    Raises what `Client.get` raises, and `DataError` for pages without an end.
    """
    pages = http.pages
    if pages is None:
        if (body := client.get(http.url, asked).body) is not None:
            yield body
    elif pages.by == "link":
        yield from _by_link(client, http, asked)
    elif pages.by == "cursor":
        yield from _by_cursor(client, http, pages, asked)
    else:
        yield from _by_count(client, http, pages, asked)


def records_in(body: bytes, http: Http) -> list[bytes]:
    """The rows of an answer, each as it is written, on one line. Raises `DataError` for another shape."""
    inside, way = msgspec.Raw(body), []
    try:
        for key in http.records.split(".") if http.records else ():
            way.append(key)
            inside = _OBJECT.decode(inside)[key]
        return [msgspec.json.format(bytes(record), indent=-1) for record in _LIST.decode(inside)]
    except KeyError:
        raise DataError(f"{http.url}: its answer has no {'.'.join(way)}; see source.http.records") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Not `from exc`: its text may quote the answer.
        where = f"no list at {'.'.join(way)}" if way else "no list"
        raise DataError(f"{http.url}: its answer is {where} of JSON; see source.http.records") from None


def _by_link(client: Client, http: Http, asked: Mapping[str, str]) -> Iterator[bytes]:
    answer = client.get(http.url, _sized(http, asked))
    url, seen = http.url, {http.url}
    while True:
        if answer.body is not None:
            yield answer.body
        following = _next_link(answer)
        if following is None:
            return
        try:
            url = urljoin(url, following)
        except ValueError:
            raise DataError(f"{http.url}: its Link header names a next page that is no address") from None
        if url in seen:
            raise DataError(
                f"{http.url}: its pages go in a circle: a Link header names a page that was read already"
            )
        seen.add(url)
        answer = client.get(url)


def _by_cursor(client: Client, http: Http, pages: Pages, asked: Mapping[str, str]) -> Iterator[bytes]:
    query, seen = dict(_sized(http, asked)), set[str]()
    while True:
        body = client.get(http.url, query).body
        if body is None:
            return
        yield body
        cursor = _cursor(body, pages, http)
        if cursor is None:
            return
        if cursor in seen:
            raise DataError(
                f"{http.url}: its pages go in a circle: {pages.next} is a cursor that was used already"
            )
        seen.add(cursor)
        query[pages.parameter or "cursor"] = cursor


def _by_count(client: Client, http: Http, pages: Pages, asked: Mapping[str, str]) -> Iterator[bytes]:
    parameter = pages.parameter or pages.by
    place = pages.first if pages.by == "page" else 0
    before: list[bytes] = []
    full = maybe_last = False
    while True:
        try:
            body = client.get(http.url, {**_sized(http, asked), parameter: str(place)}).body
        except NoSuchPage:
            if maybe_last:
                return
            raise
        if body is None:
            return
        rows = records_in(body, http)
        # Not the bodies: they may say when they were made.
        if rows and rows == before:
            if maybe_last:
                return
            raise DataError(
                f"{http.url}: two pages are the same: does it know the parameter {parameter}? See source.http.pages"
            )
        yield body
        is_short = len(rows) < (pages.size or 1)
        if not rows or (is_short and full):
            return
        # Until a page was full, all may be smaller than asked for: many servers have a limit of their own.
        full, maybe_last = full or not is_short, is_short
        before, place = rows, place + (1 if pages.by == "page" else len(rows))


def _sized(http: Http, asked: Mapping[str, str]) -> dict[str, str]:
    pages = http.pages
    if pages and pages.size and pages.size_parameter:
        return {**asked, pages.size_parameter: str(pages.size)}
    return dict(asked)


def _next_link(answer: Answer) -> str | None:
    for url, rest in _LINK.findall(answer.headers.get("Link", "")):
        relations = (
            quoted or plain for name, quoted, plain in _PARAMETER.findall(rest) if name.lower() == "rel"
        )
        # Of several, the first counts.
        if "next" in next(relations, "").lower().split():
            return str(url)
    return None


def _cursor(body: bytes, pages: Pages, http: Http) -> str | None:
    """What to ask for next; ``None`` at the end: no such key, null, false, or an empty text."""
    inside = msgspec.Raw(body)
    try:
        for key in pages.next.split("."):
            found = _OBJECT.decode(inside).get(key)
            if found is None:
                return None
            inside = found
        value = msgspec.json.decode(inside)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise DataError(f"{http.url}: its answer has no {pages.next}; see source.http.pages") from None
    if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
        if value is False:
            return None
        raise DataError(f"{http.url}: {pages.next} is neither a text nor a number; see source.http.pages")
    return None if value in (None, "") else str(value)
