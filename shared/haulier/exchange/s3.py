"""The exchange in an S3 bucket, spoken to through obstore (docs/adr/0002 says why)."""

from __future__ import annotations

import queue
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from haulier.errors import DefinitionError, TransientError
from haulier.exchange import ObjectMissing, check_key
from haulier.exchange.refusals import OutOfRange, Taken, Unavailable, explain
from haulier.settings import Settings

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, RetryConfig, S3Config

T = TypeVar("T")

#: One operation asks this often, pausing a random time below 0.1 s, 0.2 s, … 5 s in between, and for
#: at most this many request timeouts altogether. Past that a later attempt of the task is the better retry.
TRIES = 8
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
DEADLINE_TIMEOUTS = 3

#: An upload up to here is one PutObject; a larger one goes in pieces of this size, so many at a time.
UPLOAD_BYTES = 8 * 1024 * 1024
UPLOADS_AT_ONCE = 4

#: What obstore raises for an answer it did not like; a missing key is Python's own exception.
_OBSTORE_ERRORS = (BaseError, FileNotFoundError)


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_ENDPOINT = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/[\w./~%-]*)?")
_REGION = re.compile(r"[a-z0-9-]+")


class S3Exchange:
    """Objects in one bucket, below one prefix."""

    def __init__(self, settings: Settings) -> None:
        bucket, _, prefix = settings.exchange.removeprefix("s3://").partition("/")
        _check(settings, bucket)
        self._bucket = bucket
        self._prefix = check_key(prefix.strip("/")) if prefix.strip("/") else ""
        self._endpoint = settings.s3_endpoint or "AWS"
        self._settings = settings
        self._deadline_seconds = DEADLINE_TIMEOUTS * settings.s3_timeout_seconds
        self._store = self._connect(tries=1)

    @classmethod
    def open(cls, settings: Settings) -> S3Exchange:
        """Asks the store nothing yet. Raises `DefinitionError` for settings that cannot be right."""
        return cls(settings)

    def __repr__(self) -> str:
        return f"S3Exchange({self.url!r})"

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, data: bytes | memoryview) -> None:
        body = memoryview(data).cast("B")  # obstore takes unsigned bytes only; Arrow's buffers are signed
        self._ask("write", key, lambda: obstore.put(self._store, key, body, use_multipart=False))

    def create(self, key: str, data: bytes) -> bool:
        patience = _Patience(self._deadline_seconds)
        doubtful = False
        while True:
            try:
                self._once("create", key, lambda: obstore.put(self._store, key, data, mode="create"))
            except Taken:
                # The first answer is final; a later one may speak of our own object, from a request given up.
                return doubtful and self._get(key, patience) == data
            except Unavailable as exc:
                doubtful = True
                try:
                    return self._get(key, patience) == data
                except ObjectMissing:
                    if not patience.another():
                        raise exc from None
            else:
                return True

    def upload(self, key: str, chunks: Iterable[bytes]) -> int:
        source = iter(chunks)
        head = bytearray()
        for chunk in source:
            head += chunk
            if len(head) > UPLOAD_BYTES:
                break
        else:
            self.put(key, memoryview(head))
            return len(head)
        check_key(key)
        feed = _Feed(chain([bytes(head)], source))
        del head
        patient = self._connect(tries=TRIES)
        try:
            _interruptible(
                lambda: obstore.put(
                    patient,
                    key,
                    feed,
                    use_multipart=True,
                    chunk_size=UPLOAD_BYTES,
                    max_concurrency=UPLOADS_AT_ONCE,
                )
            )
        except BaseException as exc:
            failed, feed.stopped = feed.error, True
            if failed is not None:
                raise failed from None
            if not isinstance(exc, _OBSTORE_ERRORS):
                raise
            if feed.complete and "<Code>NoSuchUpload</Code>" in str(exc) and self.size(key) == feed.bytes:
                return feed.bytes  # it was completed by a request whose answer was lost
            raise explain(exc, "upload", key, self.url, self._endpoint) from None
        return feed.bytes

    def get(self, key: str) -> bytes:
        return self._get(key, _Patience(self._deadline_seconds))

    def stream(self, key: str, chunk_bytes: int = 8 * 1024 * 1024) -> Iterator[bytes]:
        """Each piece is a request of its own, so that no slow reader outlives one."""
        start, tag = 0, None
        while True:
            try:
                piece, size, tag = self._range(key, start, start + chunk_bytes, tag)
            except OutOfRange:  # as the first byte of an empty object is
                if start == 0 and self.size(key) == 0:
                    return
                problem = f"{self.url}/{key} was replaced while it was read; try again"
                raise TransientError(problem, store=self.url, key=key) from None
            yield piece
            start += len(piece)
            if start >= size:
                return

    def piece(self, key: str, start: int, stop: int) -> bytes:
        try:
            return self._range(key, start, stop, None)[0]
        except OutOfRange:
            return b""

    def size(self, key: str) -> int | None:
        try:
            return self._ask("read", key, lambda: obstore.head(self._store, key))["size"]
        except ObjectMissing:
            return None

    def listed(self, prefix: str, wanted: Callable[[str], bool]) -> list[tuple[str, int, datetime]]:
        """(key, bytes, modified) of wanted objects that begin so; for sources alone.

        Again from its beginning when it breaks: obstore's pages just end after an error, and not every
        store lists in the order by which a listing could be taken up.
        """

        def all_pages() -> list[tuple[str, int, datetime]]:
            pages = obstore.list(self._store, prefix or None)
            return [
                (found["path"], found["size"], found["last_modified"])
                for page in pages
                for found in page
                if wanted(found["path"])
            ]

        return self._ask("list", prefix or ".", all_pages, checked=False)

    def described(self, key: str) -> tuple[int, datetime, str | None] | None:
        """(bytes, modified, tag) of an object; ``None``: there is none."""
        try:
            found = self._ask("read", key, lambda: obstore.head(self._store, key))
        except ObjectMissing:
            return None
        return found["size"], found["last_modified"], found["e_tag"]

    def delete(self, key: str) -> None:
        self._ask("delete", key, lambda: obstore.delete(self._store, key))

    def _get(self, key: str, patience: _Patience) -> bytes:
        return self._ask("read", key, lambda: bytes(obstore.get(self._store, key).bytes()), patience)

    def _range(self, key: str, start: int, end: int, tag: str | None) -> tuple[bytes, int, str | None]:
        """A piece, the size of the whole object, and the tag by which the next piece is of the same one."""
        options: GetOptions = {"range": (start, end)}
        if tag is not None:
            options["if_match"] = tag

        def read() -> tuple[bytes, int, str | None]:
            answer = obstore.get(self._store, key, options=options)
            return bytes(answer.bytes()), answer.meta["size"], answer.meta["e_tag"]

        return self._ask("read", key, read)

    def _ask(
        self,
        verb: str,
        key: str,
        call: Callable[[], T],
        patience: _Patience | None = None,
        *,
        checked: bool = True,
    ) -> T:
        """Make a request that may be repeated."""
        patience = patience or _Patience(self._deadline_seconds)
        while True:
            try:
                return self._once(verb, key, call, checked=checked)
            except Unavailable:
                if not patience.another():
                    raise

    def _once(self, verb: str, key: str, call: Callable[[], T], *, checked: bool = True) -> T:
        """The one door: what obstore raises leaves it as one of ours."""
        if checked:
            check_key(key)
        try:
            return _interruptible(call)
        except _OBSTORE_ERRORS as exc:
            # Without its cause: obstore's text holds the store's answer, and an answer may hold a credential.
            raise explain(exc, verb, key, self.url, self._endpoint) from None

    def _connect(self, *, tries: int) -> S3Store:
        settings = self._settings
        config: S3Config = {
            "region": settings.s3_region,
            "checksum_algorithm": "sha256",
            "conditional_put": "etag",
            # One object a request: not every store knows the bulk form, and this way a refusal has a status.
            "disable_bulk_delete": True,
        }
        if settings.s3_endpoint:
            config["endpoint"] = settings.s3_endpoint
        # Without these, obstore looks where AWS's clients do: standard variables, then the machine's role.
        if settings.s3_access_key_id:
            config["access_key_id"] = settings.s3_access_key_id
        if settings.s3_secret_access_key:
            config["secret_access_key"] = settings.s3_secret_access_key
        if settings.s3_session_token:
            config["session_token"] = settings.s3_session_token
        timeout = timedelta(seconds=settings.s3_timeout_seconds)
        client: ClientConfig = {
            "allow_http": (settings.s3_endpoint or "").startswith("http://"),
            "timeout": timeout,
            "connect_timeout": min(timeout, timedelta(seconds=5)),
        }
        retry: RetryConfig = {
            "max_retries": tries - 1,
            "retry_timeout": timedelta(seconds=self._deadline_seconds),
            "backoff": {
                "init_backoff": timedelta(seconds=PAUSE_SECONDS),
                "max_backoff": timedelta(seconds=LONGEST_PAUSE_SECONDS),
                "base": 2,
            },
        }
        return S3Store(
            self._bucket,
            prefix=self._prefix or None,
            config=config,
            client_options=client,
            retry_config=retry,
        )


def _check(settings: Settings, bucket: str) -> None:
    """What obstore would take and stumble over at the first request, some of it with a panic."""
    if not _BUCKET.fullmatch(bucket):
        raise DefinitionError(
            f"HAULIER_EXCHANGE: {settings.exchange!r} names no bucket; write s3://bucket/prefix"
        )
    if settings.s3_endpoint and not _ENDPOINT.fullmatch(settings.s3_endpoint):
        shown = "its value" if "@" in settings.s3_endpoint else repr(settings.s3_endpoint)
        raise DefinitionError(f"AWS_ENDPOINT_URL: {shown} is not like https://host:port")
    if not _REGION.fullmatch(settings.s3_region):
        raise DefinitionError(
            f"AWS_REGION: {settings.s3_region!r} cannot be a region; say us-east-1 if in doubt"
        )
    if bool(settings.s3_access_key_id) != bool(settings.s3_secret_access_key):
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        present, absent = names if settings.s3_access_key_id else names[::-1]
        raise DefinitionError(f"{absent}: not set, though {present} is; set both or neither")


class _Patience:
    """How often and how long one operation goes on asking."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._tries = 1

    def another(self) -> bool:
        """Pause before the next try; ``False``, at once, when there is none left."""
        pause = random.uniform(0, min(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS * 2**self._tries))  # noqa: S311 - jitter
        if self._tries == TRIES or time.monotonic() + pause >= self._ends:
            return False
        time.sleep(pause)
        self._tries += 1
        return True


class _Feed:
    """What an upload takes its bytes from: counts them, and remembers what the source raised."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0
        self.complete = False
        self.stopped = False
        self.error: Exception | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                if self.stopped:
                    raise InterruptedError("the upload was cancelled")
                self.bytes += len(chunk)
                yield chunk
        except Exception as exc:
            self.error = exc
            raise
        self.complete = True


def _interruptible(call: Callable[[], T]) -> T:
    """Make a blocking call so that signals are handled meanwhile.

    Python runs a signal's handler between bytecodes of the main thread. Inside obstore there are none
    for as long as a request hangs; waiting for another thread's answer there are.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    answers: queue.SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as exc:  # noqa: BLE001 - raised again where it is waited for
            answers.put((None, exc))

    threading.Thread(target=work, name="exchange", daemon=True).start()
    value, error = answers.get()
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # no error: one was raised above
