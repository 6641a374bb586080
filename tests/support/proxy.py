"""Proxies on loopback that break connections where a test says so.

`TcpProxy` passes bytes and knows nothing of them; `HttpProxy` passes whole requests, counts them,
and lets a test script what happens to the next one that matches:

    with HttpProxy(s3_port) as proxy:
        proxy.script(swallow(), method="PUT", path="manifest.json")
        ...
        assert proxy.count("PUT") == 1
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

Direction = Literal["up", "down"]


class TcpProxy:
    """Passes bytes between its own port and another one of this machine."""

    def __init__(self, upstream_port: int, upstream_host: str = "127.0.0.1") -> None:
        self._upstream = (upstream_host, upstream_port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open_gate = threading.Event()
        self._open_gate.set()
        self._budget: dict[Direction, int | None] = {"up": None, "down": None}
        self.port = 0
        self.refusing = False
        #: Bytes passed so far, to the upstream and back.
        self.passed: dict[Direction, int] = {"up": 0, "down": 0}
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def cut_after(self, count: int, direction: Direction = "down") -> None:
        """Reset the connection that passes the ``count``-th byte from now; those after it live."""
        self._budget[direction] = count

    def freeze(self) -> None:
        """Pass nothing until `thaw`; connections stay open."""
        self._open_gate.clear()

    def thaw(self) -> None:
        self._open_gate.set()

    def drop(self) -> None:
        """Reset every connection there is now."""
        for writer in set(self._writers):
            self._loop.call_soon_threadsafe(reset, writer)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=2**20)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        for writer in set(self._writers):
            reset(writer)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            if not self.refusing:
                await self._handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            reset(writer)
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self._upstream, limit=2**20)
        self._writers.add(writer)
        return reader, writer

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await self._connect()
        both = [
            asyncio.ensure_future(self._pump("up", reader, up_writer)),
            asyncio.ensure_future(self._pump("down", up_reader, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in both:
                pump.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            reset(up_writer)
            self._writers.discard(up_writer)

    async def _pump(
        self, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(2**16):
            while not self._open_gate.is_set():
                await asyncio.sleep(0.005)
            budget = self._budget[direction]
            if budget is not None and budget <= len(data):
                self._budget[direction] = None
                writer.write(data[:budget])
                self.passed[direction] += budget
                with contextlib.suppress(OSError):
                    await writer.drain()
                return
            if budget is not None:
                self._budget[direction] = budget - len(data)
            self.passed[direction] += len(data)
            writer.write(data)
            await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a crash does, without the farewell of a clean close."""
    if (connection := writer.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class Call:
    """One request as it came, and what a fault can do with it."""

    method: str
    path: str
    raw: bytes
    proxy: HttpProxy
    _answer: Callable[[bytes], Awaitable[None]]

    async def forward(self, raw: bytes | None = None) -> bytes:
        """Have the upstream do it, over a connection of its own; the whole answer."""
        reader, writer = await self.proxy._connect()
        try:
            writer.write(self.raw if raw is None else raw)
            await writer.drain()
            return await _message(reader, has_body=self.method != "HEAD")
        finally:
            reset(writer)
            self.proxy._writers.discard(writer)

    async def begin(self, count: int) -> None:
        """Let the upstream see the first bytes of it, then lose it."""
        _, writer = await self.proxy._connect()
        writer.write(self.raw[:count])
        await writer.drain()
        await asyncio.sleep(0.05)
        reset(writer)
        self.proxy._writers.discard(writer)

    async def answer(self, raw: bytes) -> None:
        await self._answer(raw)


class Drop(Exception):
    """A fault's last word: reset the client's connection."""


Fault = Callable[[Call], Awaitable[None]]


@dataclass
class _Rule:
    fault: Fault
    method: str | None
    path: str
    skip: int
    times: int | None


@dataclass
class Passed:
    """One request that came by, in the order they came."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body_bytes: int = 0


class HttpProxy(TcpProxy):
    """Passes whole HTTP/1.1 requests and answers."""

    def __init__(self, upstream_port: int, upstream_host: str = "127.0.0.1") -> None:
        super().__init__(upstream_port, upstream_host)
        self._rules: list[_Rule] = []
        self.requests: list[Passed] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(
        self, fault: Fault, *, method: str | None = None, path: str = "", skip: int = 0, times: int | None = 1
    ) -> None:
        """Do this to the next ``times`` requests that match, after ``skip`` of them; ``None``: to all."""
        self._rules.append(_Rule(fault, method, path, skip, times))

    def count(self, method: str | None = None, path: str = "") -> int:
        return sum((method is None or r.method == method) and path in r.path for r in self.requests)

    def forget(self) -> None:
        """Drop the script and the counts."""
        self._rules.clear()
        self.requests.clear()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def answer(raw: bytes) -> None:
            writer.write(raw)
            await writer.drain()

        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"\r\nexpect: 100-continue" in head.lower():
                await answer(b"HTTP/1.1 100 Continue\r\n\r\n")
                lines = head.split(b"\r\n")
                head = b"\r\n".join(line for line in lines if not line.lower().startswith(b"expect:"))
            body = await _body(reader, head, has_body=True)
            method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            self.requests.append(Passed(method, path, _headers(head), len(body)))
            call = Call(method, path, head + body, self, answer)
            try:
                await (self._fault(method, path) or _pass)(call)
            except Drop:
                return

    def _fault(self, method: str, path: str) -> Fault | None:
        for rule in self._rules:
            if (rule.method is None or rule.method == method) and rule.path in path and rule.times != 0:
                if rule.skip:
                    rule.skip -= 1
                    continue
                if rule.times is not None:
                    rule.times -= 1
                return rule.fault
        return None


async def _pass(call: Call) -> None:
    await call.answer(await call.forward())


def swallow() -> Fault:
    """The upstream does it; the answer is lost with the connection."""

    async def fault(call: Call) -> None:
        await call.forward()
        raise Drop

    return fault


def lose(first_bytes: int | None = None) -> Fault:
    """The connection breaks before the upstream got it all: it has the first bytes, or nothing."""

    async def fault(call: Call) -> None:
        if first_bytes is not None:
            await call.begin(first_bytes)
        raise Drop

    return fault


def hang(seconds: float = 3600, *, done: bool = False) -> Fault:
    """No answer; with ``done`` the upstream has done it all the same."""

    async def fault(call: Call) -> None:
        if done:
            await call.forward()
        await asyncio.sleep(seconds)
        raise Drop

    return fault


def delay(seconds: float) -> Fault:
    """The upstream gets it late, though the client may have given it up."""

    async def fault(call: Call) -> None:
        await asyncio.sleep(seconds)
        await _pass(call)

    return fault


def cut(count: int) -> Fault:
    """The connection breaks after so many bytes of the answer, head included; negative: before its end."""

    async def fault(call: Call) -> None:
        await call.answer((await call.forward())[:count])
        await asyncio.sleep(0.05)
        raise Drop

    return fault


def answer(status: int, code: str = "", *, done: bool = False) -> Fault:
    """This answer in the upstream's place; with ``done`` the upstream has done it all the same."""

    async def fault(call: Call) -> None:
        if done:
            await call.forward()
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode() if code else b""
        head = f"HTTP/1.1 {status} Scripted\r\ncontent-length: {len(body)}\r\n\r\n"
        await call.answer(head.encode() + (b"" if call.method == "HEAD" else body))

    return fault


def flip(at: int, *, request: bool = False) -> Fault:
    """One bit of the body arrives the other way round: of the answer's, or of the request's."""

    def flipped(raw: bytes) -> bytes:
        changed = bytearray(raw)
        start = raw.index(b"\r\n\r\n") + 4
        changed[start + at if at >= 0 else len(raw) + at] ^= 0x01
        return bytes(changed)

    async def fault(call: Call) -> None:
        if request:
            await call.answer(await call.forward(flipped(call.raw)))
        else:
            await call.answer(flipped(await call.forward()))

    return fault


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.decode("latin-1").partition(":") for line in head.split(b"\r\n")[1:] if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _message(reader: asyncio.StreamReader, *, has_body: bool) -> bytes:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status >= 200:
            return head + await _body(reader, head, has_body=has_body and status not in (204, 304))


async def _body(reader: asyncio.StreamReader, head: bytes, *, has_body: bool) -> bytes:
    headers = _headers(head)
    if not has_body:
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while True:
            size = await reader.readuntil(b"\r\n")
            rest = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
            parts += [size, rest]
            if rest == b"\r\n":
                return b"".join(parts)
    return await reader.readexactly(int(headers.get("content-length", "0")))
