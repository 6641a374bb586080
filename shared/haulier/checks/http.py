"""What a definition of an API may not say although its structure is right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from haulier.definitions.formats import Csv
from haulier.definitions.sources import Auth, Http, Pages
from haulier.formats import problem_of_format
from haulier.placeholders import EPOCH, INSTANTS, instants, problems_of_template, without_instants
from haulier.problems import Problem, Trail, listed, quoted

_HTTP: Trail = ("source", "http")
#: Not with _FILE at its end: that variable names a file.
SECRET = re.compile(r"(?!.*_FILE\Z)[A-Z][A-Z0-9_]{0,59}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
#: Headers that say who asks: they belong into auth, where no secret is written down.
_AUTH_HEADERS = ("authorization", "proxy-authorization", "cookie")


def of_http(http: Http, csv: Csv | None, filled: set[str]) -> Iterator[Problem]:
    """What can be judged of an API without asking it."""
    yield from _url(http.url, (*_HTTP, "url"), filled)
    for name, text in http.parameters.items():
        yield from _parameter(text, (*_HTTP, "parameters", name), filled)
    for name, text in http.headers.items():
        yield from _header(name, text, (*_HTTP, "headers", name), filled)
    if http.auth:
        yield from _auth(http.auth)
    if http.pages:
        yield from _pages(http.pages, http.parameters)
    if csv is not None and http.pages:
        yield Problem(
            (*_HTTP, "pages"), "are pages of JSON; CSV comes in one answer: remove one of the two", " "
        )
    if csv is not None and http.records:
        yield Problem((*_HTTP, "records"), "leads through JSON, and source.csv says the answer is CSV", " ")


def _url(url: str, trail: Trail, filled: set[str]) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits or re.search(r"[\s\\]", url):
        yield Problem(trail, f"{quoted(url)} is no address; write https://host/path")
    elif parts.username is not None or parts.password is not None:
        yield Problem(
            trail, "holds a user or password, which would be written down; use source.http.auth", " "
        )
    elif parts.query or parts.fragment:
        yield Problem(trail, f"{quoted(url)} has a query; write it under source.http.parameters")
    yield from problems_of_template(url, trail, filled)


def _parameter(text: str, trail: Trail, filled: set[str]) -> Iterator[Problem]:
    for _, form in instants(text):
        if form not in ("", EPOCH) and (reason := problem_of_format(form)):
            yield Problem(trail, f"{quoted(form)}: {reason}")
    known = {*filled, *INSTANTS}
    yield from problems_of_template(without_instants(text), trail, known)


def _header(name: str, text: str, trail: Trail, filled: set[str]) -> Iterator[Problem]:
    if not _HEADER.fullmatch(name):
        yield Problem(trail, "cannot be a header's name", " ")
    elif name.lower() in _AUTH_HEADERS:
        yield Problem(trail, "says who asks; name its secret under source.http.auth", " ")
    if re.search(r"[\r\n\0]", text):
        yield Problem(trail, "has a line end in it", " ")
    yield from problems_of_template(text, trail, filled)


def _auth(auth: Auth) -> Iterator[Problem]:
    trail: Trail = (*_HTTP, "auth")
    ways = {name: getattr(auth, name) for name in auth.__struct_fields__ if getattr(auth, name) is not None}
    if len(ways) != 1:
        said = f"{listed(list(ways), 'and')} exclude each other" if ways else "says nothing"
        yield Problem(trail, f"{said}; write one of {listed(auth.__struct_fields__, 'and')}", " ")
    secrets: dict[Trail, str | None] = {
        ("bearer",): auth.bearer,
        ("basic", "password"): auth.basic.password if auth.basic else None,
        ("api_key", "secret"): auth.api_key.secret if auth.api_key else None,
        ("oauth2", "client_secret"): auth.oauth2.client_secret if auth.oauth2 else None,
    }
    for place, name in secrets.items():
        if name is not None and not SECRET.fullmatch(name):
            # Not repeated: somebody may have written the secret itself.
            yield Problem(
                (*trail, *place),
                "is no name of a secret; write NAME for the variable HAULIER_SECRET_NAME, never the secret itself",
                " ",
            )
    if auth.oauth2:
        yield from _url(auth.oauth2.token_url, (*trail, "oauth2", "token_url"), set())
    if auth.api_key and not _HEADER.fullmatch(auth.api_key.header):
        yield Problem(
            (*trail, "api_key", "header"), f"{quoted(auth.api_key.header)} cannot be a header's name"
        )


def _pages(pages: Pages, parameters: dict[str, str]) -> Iterator[Problem]:
    trail: Trail = (*_HTTP, "pages")
    for name in (pages.parameter or pages.by, pages.size_parameter):
        if pages.by != "link" and name in parameters:
            yield Problem(
                (*_HTTP, "parameters", name), "is filled by source.http.pages; remove one of the two", " "
            )
    if pages.size_parameter and pages.size is None:
        yield Problem((*trail, "size_parameter"), "asks for pages of a size; write it as size", " ")
