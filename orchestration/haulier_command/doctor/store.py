"""Exchange and archive: reached, keep what they are given, and let one of many simultaneous commits win."""

from __future__ import annotations

import hashlib
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

from haulier.cold.sealed import open_archive
from haulier.errors import HaulierError
from haulier.exchange import Exchange, open_exchange
from haulier.settings import Settings
from haulier_command.doctor import Look, Looking, Looks
from haulier_command.doctor.machine import space
from haulier_command.doctor.postgres import clock
from haulier_command.doctor.signing import signed

#: So many at once want to commit one manifest, so often.
RACERS, RACES = 16, 3
_PATIENCE_SECONDS = 5.0
_BODY = b"haulier doctor"
_SETTINGS = "look at HAULIER_EXCHANGE, AWS_ENDPOINT_URL, AWS_REGION and the keys"
_ARCHIVE_SETTINGS = "look at HAULIER_ARCHIVE and the HAULIER_ARCHIVE_S3_* variables"


def looks(settings: Settings) -> Looks:
    """The exchange."""
    look, settings = Looking("exchange"), _impatient(settings)
    yield from _store(look, lambda: open_exchange(settings), _SETTINGS, partial(_of_exchange, look, settings))


def archive_looks(settings: Settings) -> Looks:
    """Where archived partitions go; nothing is looked at where none are."""
    if settings.archive:
        look = Looking("archive")
        yield from _store(look, lambda: open_archive(_impatient(settings)), _ARCHIVE_SETTINGS, lambda _: ())


def _impatient(settings: Settings) -> Settings:
    """Somebody waits for the answer."""
    return replace(settings, s3_timeout_seconds=min(settings.s3_timeout_seconds, _PATIENCE_SECONDS))


def _store(
    look: Looking, opened: Callable[[], Exchange], advice: str, more: Callable[[Exchange], Iterable[Look]]
) -> Looks:
    key = f"_doctor/{uuid.uuid4()}"
    try:
        store = opened()
        store.put(key, _BODY)
        if store.get(key) != _BODY:
            yield look.fail("keeps", f"{store.url} gave back something else", "no store for Haulier")
            return
        yield look.ok("reached", f"{store.url}: written and read back")
        yield race(look, store)
    except HaulierError as exc:
        yield look.error("reached", exc, advice)
        return
    yield from more(store)
    try:
        store.delete(key)
        yield look.ok("deletes", "allowed, which only a sweeper needs")
    except HaulierError:
        yield look.ok("deletes", f"not allowed, which is right for steps; {key} stays behind")


def _of_exchange(look: Looking, settings: Settings, exchange: Exchange) -> Looks:
    if exchange.url.startswith("s3://"):
        yield _checksum(look, exchange, settings)
        yield from _store_clock(look, settings)
        return
    folder = Path(settings.exchange.removeprefix("file://")).absolute()
    yield space(look, folder, "free space")
    yield look.ok("reach", "a folder: every step must see the same one")


def race(look: Looking, exchange: Exchange) -> Look:
    """Many conditional PUTs of one key at the same moment: exactly one may win, and its content must stand."""
    for number in range(1, RACES + 1):
        key, start = f"_doctor/race-{uuid.uuid4()}", threading.Barrier(RACERS)

        def commit(racer: int, key: str = key, start: threading.Barrier = start) -> bool:
            start.wait(30)
            return exchange.create(key, f"racer {racer}".encode())

        with ThreadPoolExecutor(RACERS) as pool:
            won = [racer for racer, did in enumerate(pool.map(commit, range(RACERS))) if did]
        stands = exchange.get(key).decode()
        _forget(exchange, key)
        if len(won) != 1 or stands != f"racer {won[0]}":
            return look.fail(
                "one winner",
                f"{len(won)} of {RACERS} simultaneous commits won (race {number})",
                "a store that keeps If-None-Match: * on PutObject; with this one two attempts could both commit",
            )
    return look.ok("one winner", f"one of {RACERS} simultaneous commits, in {RACES} of {RACES} races")


def _forget(exchange: Exchange, key: str) -> None:
    try:
        exchange.delete(key)
    except HaulierError:
        return  # said once, of the first key


def _checksum(look: Looking, exchange: Exchange, settings: Settings) -> Look:
    """Whether a body is refused that is not what its SHA-256 says."""
    if not (settings.s3_access_key_id and settings.s3_secret_access_key and settings.s3_endpoint):
        return look.ok("checksums", "not tried: the credentials are the machine's own, or the store is AWS")
    key = f"_doctor/wrong-{uuid.uuid4()}"
    request = signed(settings, key, _BODY, sha256=hashlib.sha256(b"another body").digest())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - checked by the exchange
            status = answer.status
    except urllib.error.HTTPError as exc:
        status = exc.code
    except OSError as exc:
        return look.fail("checksums", f"no answer: {exc}", "try again", 75)
    if status == 400:
        return look.ok("checksums", "a body that is not what its SHA-256 says is refused")
    if status >= 300:
        return look.warn(
            "checksums", f"the store answered {status}, so it cannot be told", "see the store's log"
        )
    _forget(exchange, key)
    advice = "a store that checks x-amz-checksum-sha256: damage on the way is found only when it is read"
    return look.warn("checksums", "a body that is not what its SHA-256 says was stored", advice)


def _store_clock(look: Looking, settings: Settings) -> Looks:
    if not settings.s3_endpoint:
        return
    began = time.monotonic()
    try:
        request = urllib.request.Request(settings.s3_endpoint, method="HEAD")  # noqa: S310 - checked by the exchange
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - the same address
            said = answer.headers.get("Date")
    except urllib.error.HTTPError as exc:
        said = exc.headers.get("Date")
    except OSError:
        return  # it answers requests for objects, which was shown
    if said:
        # The header counts whole seconds.
        ahead = (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds() + 0.5
        yield clock(look, ahead, time.monotonic() - began + 1)
