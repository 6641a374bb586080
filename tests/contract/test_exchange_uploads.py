"""Large objects on S3 while the network and the store misbehave: whole or absent, and no more memory for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

import pytest
from support.faults import hurried, proxied
from support.proxy import HttpProxy, answer, flip, hang, lose, swallow

from haulier.errors import TransientError
from haulier.exchange import s3
from haulier.exchange.s3 import UPLOAD_BYTES, S3Exchange

MiB = 1024 * 1024


@pytest.fixture
def proxy(exchange_environment: Mapping[str, str]) -> Iterator[HttpProxy]:
    with proxied(exchange_environment) as made:
        yield made


@pytest.fixture
def exchange(
    exchange_environment: Mapping[str, str], proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> S3Exchange:
    # Pieces of eight megabytes go through a proxy here: a busy machine needs more than a second for one.
    return S3Exchange.open(hurried(exchange_environment, proxy, monkeypatch, seconds=6))


class TestUpload:
    CHUNKS = 3 * UPLOAD_BYTES // MiB + 1

    @pytest.fixture
    def chunk(self) -> bytes:
        return os.urandom(MiB)

    @pytest.mark.parametrize("fault", [answer(503, "SlowDown"), lose(first_bytes=100_000), swallow(), hang()])
    def test_a_piece_is_repeated_until_it_is_done(
        self, exchange: S3Exchange, proxy: HttpProxy, chunk: bytes, fault: Callable[..., object]
    ) -> None:
        proxy.script(fault, method="PUT", path="partNumber=2")

        assert exchange.upload("u", [chunk] * self.CHUNKS) == self.CHUNKS * MiB

        assert exchange.get("u") == chunk * self.CHUNKS

    @pytest.mark.parametrize(
        "fault", [swallow(), answer(500, done=True), answer(404, "NoSuchUpload", done=True)]
    )
    def test_a_lost_answer_to_its_completion_is_no_failure(
        self, exchange: S3Exchange, proxy: HttpProxy, chunk: bytes, fault: Callable[..., object]
    ) -> None:
        proxy.script(fault, method="POST", path="uploadId=")

        assert exchange.upload("u", [chunk] * self.CHUNKS) == self.CHUNKS * MiB

        assert exchange.get("u") == chunk * self.CHUNKS

    def test_an_upload_that_someone_aborted_is_a_failure(
        self, exchange: S3Exchange, proxy: HttpProxy, chunk: bytes
    ) -> None:
        proxy.script(answer(404, "NoSuchUpload"), method="POST", path="uploadId=")

        with pytest.raises(TransientError, match="NoSuchUpload"):
            exchange.upload("u", [chunk] * self.CHUNKS)

        assert exchange.size("u") is None

    @pytest.mark.parametrize("fault", [hang(), lose(first_bytes=100_000), answer(503, "SlowDown")])
    def test_whole_or_absent(
        self, exchange: S3Exchange, proxy: HttpProxy, chunk: bytes, fault: Callable[..., object]
    ) -> None:
        proxy.script(fault, method="PUT", path="partNumber=3", times=None)

        with pytest.raises(TransientError, match="cannot upload"):
            exchange.upload("u", [chunk] * self.CHUNKS)

        assert exchange.size("u") is None
        assert proxy.count("DELETE", "uploadId=") == 1, "its pieces are given back"

    def test_the_source_does_not_run_ahead_of_a_slow_store(
        self, exchange: S3Exchange, proxy: HttpProxy, chunk: bytes
    ) -> None:
        """What was read and not yet stored is in memory."""
        proxy.script(hang(), method="PUT", path="partNumber=", times=None)
        taken: list[int] = []

        def source() -> Iterator[bytes]:
            for number in range(200):
                taken.append(number)
                yield chunk

        with pytest.raises(TransientError):
            exchange.upload("u", source())

        assert len(taken) * MiB <= (s3.UPLOADS_AT_ONCE + 2) * UPLOAD_BYTES

    def test_a_piece_damaged_on_the_way_never_becomes_an_object(
        self, exchange: S3Exchange, proxy: HttpProxy, chunk: bytes
    ) -> None:
        proxy.script(flip(5_000_000, request=True), method="PUT", path="partNumber=1", times=None)

        with pytest.raises(TransientError):
            exchange.upload("u", [chunk] * self.CHUNKS)

        assert exchange.size("u") is None
