"""An API of one's own: a real ASGI server that pages, throttles, fails and lets tokens expire, as told."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import uvicorn


@dataclass
class Api:
    """Rows behind paths: ``/pages``, ``/offsets``, ``/cursors``, ``/links``, ``/whole``, ``/csv``, ``/raw``."""

    rows: Sequence[Any] = ()
    size: int = 3
    #: Rows of a page at the most, whatever is asked for.
    most: int = 1000
    #: What ``/pages`` answers behind the last one: ``nothing``, ``204``, ``404`` or ``the last page``.
    beyond: str = "nothing"
    #: Answers given before any real one: (status, headers, body).
    first: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    #: Body of ``/raw`` and ``/csv``.
    raw: bytes = b"[]"
    #: What a request must bring; ``None``: nothing.
    authorization: str | None = None
    key: str | None = None
    #: Who may have a token: id and secret, each form-encoded.
    client: str = "lab:s3cret"
    #: Requests a token is good for.
    token_life: int | None = None
    #: What was asked: path with its query.
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    url: str = ""
    other_host: str = ""
    _tokens: int = 0
    _used: int = 0

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (message := await receive())["type"] != "lifespan.shutdown":
                await send({"type": f"{message['type']}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message.get("more_body"):
                break
        status, extra, answer = self._answer(
            scope["path"], dict(parse_qsl(scope["query_string"].decode())), headers, body
        )
        given = [
            (b"content-type", b"application/json"),
            *((k.encode(), v.encode()) for k, v in extra.items()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": answer})

    def _answer(
        self, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        self.counts[path] += 1
        if path == "/token":
            return self._token(headers, body)
        self.asked.append((path, query))
        self.headers.append(headers)
        if self.first:
            return self.first.pop(0)
        if not self._knows(headers, query):
            return 401, {}, b'{"error": "who are you?"}'
        return getattr(self, path.strip("/"))(query)

    def _token(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        wanted = "Basic " + base64.b64encode(self.client.encode()).decode()
        if headers.get("authorization") != wanted or b"grant_type=client_credentials" not in body:
            return 401, {}, b"{}"
        self._tokens, self._used = self._tokens + 1, 0
        return 200, {}, json.dumps({"access_token": f"token-{self._tokens}", "token_type": "Bearer"}).encode()

    def _knows(self, headers: dict[str, str], query: dict[str, str]) -> bool:
        if self.token_life is not None:
            self._used += 1
            return (
                headers.get("authorization") == f"Bearer token-{self._tokens}"
                and self._used <= self.token_life
            )
        if self.key is not None:
            return self.key in (headers.get("x-api-key"), query.get("key"))
        return self.authorization in (None, headers.get("authorization"))

    def _of(self, rows: Sequence[Any], **more: Any) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps({"data": {"items": list(rows)}, **more}, indent=2).encode()

    def pages(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        start = (int(query["page"]) - 1) * self.size
        if start >= len(self.rows) and self.beyond == "404":
            return 404, {}, b'{"detail": "Invalid page."}'
        if start >= len(self.rows) and self.beyond == "204":
            return 204, {}, b""
        if start >= len(self.rows) and self.beyond == "the last page":
            start -= self.size
        return self._of(self.rows[start : start + self.size])

    def offsets(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        start = int(query["skip"])
        return self._of(self.rows[start : start + min(int(query.get("limit", self.size)), self.most)])

    def cursors(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        start = int(query.get("after", "0"))
        end = start + self.size
        return self._of(self.rows[start:end], meta={"next": end if end < len(self.rows) else None})

    def links(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        start = int(query.get("from", "0"))
        status, _, body = self._of(self.rows[start : start + self.size])
        end = start + self.size
        link = f'<{self.other_host}/links?from={end}>; rel="next", </links>; rel=first'
        return status, {"link": link} if end < len(self.rows) else {}, body

    def circle(self, _: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        status, _, body = self._of(self.rows[:1], meta={"next": "again"})
        return status, {"link": "</circle>; rel=next"}, body

    def ignores(self, _: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return self._of(self.rows, answer=self.counts["/ignores"])

    def whole(self, _: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps(list(self.rows)).encode()

    def csv(self, _: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, self.raw

    raw_answer = csv


@contextmanager
def served(api: Api) -> Iterator[Api]:
    """The API on loopback while the block lasts."""
    server = uvicorn.Server(
        uvicorn.Config(api, host="127.0.0.1", port=0, log_level="critical", ws="none", lifespan="off")
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name="api")
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
            assert thread.is_alive(), "the API did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        api.url = f"http://127.0.0.1:{port}"
        yield api
    finally:
        server.should_exit = True
        thread.join(10)
