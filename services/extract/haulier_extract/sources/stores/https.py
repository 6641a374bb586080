"""Files behind an HTTPS address: one address, or one for each day or hour of a run. Nothing is listed.

What a server says of time and version is a hint; a file is known by its digest, as everywhere. Certificates
are checked against what the machine trusts, or `SSL_CERT_FILE`.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from haulier.definitions.sources import Files
from haulier.errors import DefinitionError, HaulierError, TransientError
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_extract.sources import Vanished
from haulier_extract.sources.stores import Entry

CHUNK_BYTES = 1024 * 1024
TIMEOUT_SECONDS = 60
_DATE = re.compile(r"\{date:([^{}]*)\}")
_GONE = (404, 410)
#: Refusals that another try will not change.
_FOR_GOOD = frozenset({400, 401, 403, 405, 406, 414, 451})


def open_store(files: Files, settings: Settings, interval: Interval) -> Address:
    """Asks nothing yet."""
    return Address(files, interval)


@dataclass(frozen=True)
class Address:
    """The files that one path names in an interval."""

    files: Files
    interval: Interval

    def entries(self) -> Iterator[tuple[Entry | str, datetime | None]]:
        for url, date in self._addresses():
            try:
                found = self._asked("HEAD", url)
            except Vanished:
                # For a day that has none yet there is nothing to say.
                continue
            with closing(found):
                size, modified_at, tag = _described(found)
            if modified_at is None and self.files.select == "modified":
                yield (
                    f"{url} waits: its server does not say when it was modified; put a date into its path",
                    date,
                )
                continue
            name = urlsplit(url).path.rpartition("/")[2]
            yield (
                Entry(
                    name=name,
                    path=urlsplit(url).path.lstrip("/"),
                    uri=url,
                    bytes=size or 0,
                    modified_at=modified_at or date or self.interval.start,
                    handle=(size, modified_at, tag),
                ),
                date,
            )

    def beside(self, entry: Entry, name: str) -> Entry | None:
        parts = urlsplit(entry.uri)
        url = urlunsplit(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(name)}"))
        try:
            with closing(self._asked("HEAD", url)) as found:
                modified_at = _described(found)[1]
        except Vanished:
            return None
        return Entry(
            name=name, path=url, uri=url, bytes=0, modified_at=modified_at or entry.modified_at, handle=None
        )

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        with closing(self._asked("GET", entry.uri)) as found, _door(entry.uri):
            expected = found.headers.get("Content-Length")
            size = 0
            while chunk := found.read(CHUNK_BYTES):
                size += len(chunk)
                yield chunk
        if expected is not None and size != int(expected):
            raise TransientError(
                f"{entry.uri}: the connection broke after {size} bytes of {expected}; try again later"
            )

    def changed(self, entry: Entry) -> bool:
        with closing(self._asked("HEAD", entry.uri)) as found:
            now = _described(found)
        return bool(now != entry.handle)

    def _addresses(self) -> Iterator[tuple[str, datetime | None]]:
        """Each address once, with its date."""
        path = self.files.path
        formats = _DATE.findall(path)
        if not formats:
            yield path, None
            return
        step = timedelta(hours=1) if re.search("%[HI]", formats[0]) else timedelta(days=1)
        at = self.interval.start - timedelta(days=self.files.look_back_days)
        at = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        at = at if step < timedelta(days=1) else at.replace(hour=0)
        while at < self.interval.end:
            text = at.date().isoformat() if formats[0] == "iso" else at.strftime(formats[0])
            yield path.replace(f"{{date:{formats[0]}}}", quote(text)), at
            at += step

    def _asked(self, method: str, url: str) -> Any:
        with _door(url):
            opener = build_opener(HTTPSHandler(context=ssl.create_default_context()), _HttpsOnly())
            headers = {"User-Agent": "haulier", "Accept-Encoding": "identity"}
            request = Request(url, method=method, headers=headers)  # noqa: S310 - the definition is checked
            return opener.open(request, timeout=TIMEOUT_SECONDS)


class _HttpsOnly(HTTPRedirectHandler):
    """Follows a server elsewhere, never to where nobody's certificate is checked."""

    def redirect_request(self, request: Request, *more: Any) -> Request | None:
        if not str(more[-1]).startswith("https://"):
            raise DefinitionError(f"{request.full_url} leads to an address without https; it is not followed")
        return super().redirect_request(request, *more)


def _described(found: Any) -> tuple[int | None, datetime | None, str | None]:
    """(bytes, modified, tag), as far as the server says so."""
    size = found.headers.get("Content-Length")
    try:
        modified_at = parsedate_to_datetime(found.headers.get("Last-Modified", "")).astimezone(UTC)
    except (TypeError, ValueError):
        modified_at = None
    return int(size) if size and size.isdigit() else None, modified_at, found.headers.get("ETag")


@contextmanager
def _door(url: str) -> Iterator[None]:
    """What the library raises leaves as one of ours."""
    try:
        yield
    except HaulierError:
        raise
    except HTTPError as exc:
        # It is the answer, too, with the connection that brought it.
        exc.close()
        if exc.code in _GONE:
            raise Vanished from exc
        error: type[HaulierError] = DefinitionError if exc.code in _FOR_GOOD else TransientError
        what = "refused it" if error is DefinitionError else "try again later"
        raise error(f"{url}: its server answered {exc.code}; {what}", url=url, status=exc.code) from None
    except URLError as exc:
        if isinstance(exc.reason, ssl.SSLCertVerificationError):
            raise DefinitionError(
                f"{url}: its certificate is not trusted ({exc.reason.verify_message}); "
                "SSL_CERT_FILE names the authorities to trust"
            ) from None
        raise TransientError(
            f"{url} cannot be reached ({type(exc.reason).__name__}); try again later"
        ) from exc
    except (OSError, HTTPException) as exc:
        raise TransientError(f"{url}: the connection broke ({type(exc).__name__}); try again later") from exc
