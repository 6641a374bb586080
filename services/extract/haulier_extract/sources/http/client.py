"""Requests to an API: who asks, how often, and what a refusal means."""

from __future__ import annotations

import base64
import random
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Annotated, Any, Self
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from haulier.definitions.sources import Http, OAuth2
from haulier.errors import DataError, DefinitionError, TransientError
from haulier.logs import log

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0
#: Longer than this a run does not wait for the server's leave: the orchestrator tries again later.
_LONGEST_ASKED_SECONDS = 120.0
#: Statuses that another try may not meet again (RFC 9110; 425 of RFC 8470, 429 of RFC 6585).
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_READ_BYTES = 1024 * 1024
#: What a header's value may hold (RFC 9110, 5.5).
_SENDABLE = re.compile(r"[\t -~\x80-\xff]*")


@dataclass(frozen=True, kw_only=True)
class Answer:
    #: ``None``: the server says that there is nothing (status 204).
    body: bytes | None
    headers: Mapping[str, str]


class NoSuchPage(DefinitionError):
    """The server has nothing at this address."""


class Client:
    """Gets pages. Nothing it says or logs holds a secret or a part of an answer."""

    def __init__(self, http: Http, secrets: Mapping[str, str]) -> None:
        """Raises `DefinitionError` for a secret that the environment does not hold."""
        self._http = http
        self._secrets = secrets
        self._pool = urllib3.PoolManager(
            retries=False,
            timeout=urllib3.Timeout(connect=min(10, http.timeout_seconds), read=http.timeout_seconds),
            # The machine's authorities, and those of SSL_CERT_FILE.
            ssl_context=ssl.create_default_context(),
        )
        self._origin = urlsplit(http.url)[:2]
        self._token: str | None = None
        self._query: dict[str, str] = {}
        self._headers = {"Accept-Encoding": "gzip, deflate", "User-Agent": "haulier"}
        for name, value in http.headers.items():
            self._headers[name] = _sendable(value, f"source.http.headers.{name}")
        self._authorise()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.clear()

    def get(self, url: str, query: Mapping[str, str] | None = None) -> Answer:
        """A whole answer of status 200, or that there is nothing.

        Raises `DefinitionError` when the server refuses for good, `TransientError` when it does for now or
        cannot be reached, and `DataError` for an answer larger than `source.http.page_bytes`.
        """
        if urlsplit(url)[:2] != self._origin:
            raise DataError(
                f"{self._http.url}: the next page is at another host, {urlsplit(url).hostname}, which was not asked"
            )
        renewed, number = False, 1
        while True:
            try:
                status, headers, body = self._ask("GET", url, {**(query or {}), **self._query})
            except HTTPError as exc:
                self._pause(number, f"it cannot be reached ({type(exc).__name__})", None)
                number += 1
                continue
            if status == 200:
                return Answer(body=body, headers=headers)
            if status == 204:
                return Answer(body=None, headers=headers)
            if status == 401 and self._token is not None and not renewed:
                # Tokens run out in the middle of a run, which is none of its tries.
                renewed = True
                self._fetch_token()
                continue
            self._judge(url, status, number, headers)
            number += 1

    def _ask(
        self, method: str, url: str, query: Mapping[str, str], **more: Any
    ) -> tuple[int, Mapping[str, str], bytes]:
        joint = "&" if urlsplit(url).query else "?"
        asked = f"{url}{joint}{urlencode(query)}" if query else url
        response = self._pool.request(
            method,
            asked,
            headers={**self._headers, **more.pop("headers", {})},
            preload_content=False,
            redirect=False,
            **more,
        )
        try:
            body = bytearray()
            for chunk in response.stream(_READ_BYTES, decode_content=True):
                body += chunk
                if len(body) > self._http.page_bytes:
                    raise DataError(
                        f"{self._http.url} answers with more than source.http.page_bytes ({self._http.page_bytes}); "
                        "ask for smaller pages, or allow more"
                    )
            return response.status, response.headers, bytes(body)
        finally:
            response.close()

    def _judge(self, url: str, status: int, number: int, headers: Mapping[str, str]) -> None:
        """Wait for another try, or raise what the status means."""
        where = f"{self._http.url} answers {status}"
        if status in _TRY_AGAIN:
            self._pause(number, f"it answers {status}", headers.get("Retry-After"))
        elif status in (401, 403):
            raise DefinitionError(
                f"{where}: it does not let us in; see source.http.auth and the secret it names"
            )
        elif 300 <= status < 400:
            raise DefinitionError(f"{where}: it has moved; write its new address as source.http.url")
        else:
            refusal = NoSuchPage if status == 404 else DefinitionError
            raise refusal(f"{where}: it does not take this request; see source.http.url and parameters")

    def _pause(self, number: int, why: str, asked: str | None) -> None:
        seconds = _seconds(asked)
        if seconds is None:
            longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (number - 1))
            seconds = random.uniform(longest / 2, longest)  # noqa: S311 - not for secrecy: so that clients do not return together
        if number == self._http.tries or seconds > _LONGEST_ASKED_SECONDS:
            raise TransientError(
                f"{self._http.url}: {why}, after {number} of {self._http.tries} tries", url=self._http.url
            )
        log.warning(
            "the API is asked again",
            extra={"facts": {"why": why, "try": number, "pause_seconds": round(seconds, 1)}},
        )
        time.sleep(seconds)

    def _authorise(self) -> None:
        auth = self._http.auth
        if auth is None:
            return
        if auth.bearer:
            self._headers["Authorization"] = f"Bearer {self._header_secret(auth.bearer)}"
        elif auth.basic:
            pair = f"{auth.basic.user}:{self._secret(auth.basic.password)}"
            self._headers["Authorization"] = _basic(pair)
        elif auth.api_key and auth.api_key.parameter:
            self._query[auth.api_key.parameter] = self._secret(auth.api_key.secret)
        elif auth.api_key:
            self._headers[auth.api_key.header] = self._header_secret(auth.api_key.secret)
        else:
            self._fetch_token()

    def _fetch_token(self) -> None:
        """Client credentials, RFC 6749 4.4; the secret goes by Basic, 2.3.1."""
        oauth2 = self._http.auth and self._http.auth.oauth2
        assert oauth2
        self._headers.pop("Authorization", None)
        for number in range(1, self._http.tries + 1):
            try:
                status, headers, body = self._ask("POST", oauth2.token_url, {}, **self._credentials(oauth2))
            except HTTPError as exc:
                self._pause(number, f"{oauth2.token_url} cannot be reached ({type(exc).__name__})", None)
                continue
            if status == 200:
                break
            if status not in _TRY_AGAIN:
                raise DefinitionError(
                    f"{oauth2.token_url} answers {status} and gives no token; see source.http.auth.oauth2 and its secret"
                )
            self._pause(number, f"{oauth2.token_url} answers {status}", headers.get("Retry-After"))
        try:
            self._token = msgspec.json.decode(body, type=_Token).access_token
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            # Not `from exc`: its text may quote the answer.
            raise DataError(
                f"{oauth2.token_url} answers 200 and no access_token ({type(exc).__name__})"
            ) from None
        self._headers["Authorization"] = f"Bearer {self._token}"

    def _credentials(self, oauth2: OAuth2) -> dict[str, Any]:
        form = {"grant_type": "client_credentials", **({"scope": oauth2.scope} if oauth2.scope else {})}
        # Each is form-encoded before it goes into the pair: RFC 6749, 2.3.1.
        pair = f"{quote_plus(oauth2.client_id)}:{quote_plus(self._secret(oauth2.client_secret))}"
        return {
            "body": urlencode(form),
            "headers": {
                "Authorization": _basic(pair),
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept": "application/json",
            },
        }

    def _secret(self, name: str) -> str:
        if name not in self._secrets:
            raise DefinitionError(
                f"source.http.auth: there is no secret {name}; set HAULIER_SECRET_{name}, "
                f"or HAULIER_SECRET_{name}_FILE to a file with it"
            )
        return self._secrets[name]

    def _header_secret(self, name: str) -> str:
        return _sendable(self._secret(name), f"the secret {name}")


class _Token(msgspec.Struct):
    # RFC 6749, A.12.
    access_token: Annotated[str, msgspec.Meta(pattern=r"\A[ -~]+\Z")]


def _sendable(value: str, what: str) -> str:
    """The value of a header. The driver's own refusal would quote it."""
    if not _SENDABLE.fullmatch(value):
        raise DefinitionError(
            f"{what} cannot be sent in a header: it holds a line end, another control character or one beyond Latin-1"
        )
    return value


def _basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _seconds(asked: str | None) -> float | None:
    """Of a Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""
    if not asked:
        return None
    if asked.isascii() and asked.strip().isdigit():
        return float(asked)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
