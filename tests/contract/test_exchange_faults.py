"""The exchange on S3 while the network and the store misbehave: what is said to be done is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest
from support.faults import hurried, proxied
from support.proxy import HttpProxy, answer, cut, delay, flip, hang, lose, swallow

from haulier.errors import TransientError
from haulier.exchange import ObjectMissing, s3
from haulier.exchange.s3 import S3Exchange
from haulier.settings import Settings


@pytest.fixture
def proxy(exchange_environment: Mapping[str, str]) -> Iterator[HttpProxy]:
    with proxied(exchange_environment) as made:
        yield made


@pytest.fixture
def settings(
    exchange_environment: Mapping[str, str], proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    return hurried(exchange_environment, proxy, monkeypatch)


@pytest.fixture
def exchange(settings: Settings) -> S3Exchange:
    return S3Exchange.open(settings)


class TestCreate:
    """The one conditional write on which commits stand."""

    def test_a_lost_answer_is_looked_up_and_not_asked_again(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        proxy.script(swallow(), method="PUT")

        assert exchange.create("m", b"mine") is True

        assert [request.method for request in proxy.requests] == ["PUT", "GET"]
        assert exchange.get("m") == b"mine"

    def test_an_answer_that_never_comes_is_looked_up(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        proxy.script(hang(done=True), method="PUT")

        assert exchange.create("m", b"mine") is True

    @pytest.mark.parametrize("status", [500, 502, 503, 504, 409, 408])
    def test_an_error_after_the_deed_is_looked_up(
        self, exchange: S3Exchange, proxy: HttpProxy, status: int
    ) -> None:
        proxy.script(answer(status, done=True), method="PUT")

        assert exchange.create("m", b"mine") is True

        assert proxy.count("PUT") == 1

    @pytest.mark.parametrize(
        "fault",
        [swallow(), hang(done=True), answer(500, done=True), answer(409, "ConditionalRequestConflict")],
    )
    def test_a_lost_answer_about_anothers_object_is_no_success(
        self, exchange: S3Exchange, proxy: HttpProxy, fault: Callable[..., object]
    ) -> None:
        exchange.put("m", b"another's")
        proxy.script(fault, method="PUT")

        assert exchange.create("m", b"mine") is False
        assert exchange.get("m") == b"another's"

    @pytest.mark.parametrize(
        "fault", [lose(), lose(first_bytes=200), hang(), answer(503, "SlowDown"), answer(409)]
    )
    def test_a_request_that_did_nothing_is_made_again(
        self, exchange: S3Exchange, proxy: HttpProxy, fault: Callable[..., object]
    ) -> None:
        proxy.script(fault, method="PUT")

        assert exchange.create("m", b"mine" * 100) is True

        assert [request.method for request in proxy.requests] == ["PUT", "GET", "PUT"]
        assert exchange.get("m") == b"mine" * 100

    def test_a_second_request_finding_the_first_ones_object_is_success(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        """The first request is done while the second is under way: 412, and yet it is ours."""
        proxy.script(swallow(), method="PUT")
        proxy.script(answer(404, "NoSuchKey"), method="GET")

        assert exchange.create("m", b"mine") is True

        assert [request.method for request in proxy.requests] == ["PUT", "GET", "PUT", "GET"]

    def test_a_second_request_finding_anothers_object_is_none(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        exchange.put("m", b"another's")
        proxy.forget()
        proxy.script(lose(), method="PUT")
        proxy.script(answer(404, "NoSuchKey"), method="GET")

        assert exchange.create("m", b"mine") is False

        assert proxy.count("PUT") == 2

    def test_a_request_given_up_on_may_still_land(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        proxy.script(delay(1.2), method="PUT")

        assert exchange.create("m", b"mine") is True
        time.sleep(0.5)
        assert exchange.get("m") == b"mine"

    def test_a_first_refusal_is_final_and_costs_one_request(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        exchange.put("m", b"another's")
        proxy.forget()

        assert exchange.create("m", b"mine") is False

        assert [request.method for request in proxy.requests] == ["PUT"]

    def test_when_nobody_can_say_it_is_neither_done_nor_taken(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        proxy.script(swallow(), method="PUT")
        proxy.script(answer(503, "SlowDown"), method="GET", times=None)

        with pytest.raises(TransientError) as error:
            exchange.create("m", b"mine")

        assert not isinstance(error.value, ObjectMissing)
        assert proxy.count("PUT") == 1, "it is not repeated while its outcome is unknown"


class TestPutAndGet:
    @pytest.mark.parametrize(
        "fault", [lose(), lose(first_bytes=5000), swallow(), hang(), answer(503, "SlowDown")]
    )
    def test_a_put_is_repeated_until_it_is_done(
        self, exchange: S3Exchange, proxy: HttpProxy, fault: Callable[..., object]
    ) -> None:
        data = os.urandom(100_000)
        proxy.script(fault, method="PUT")

        exchange.put("p", data)

        assert exchange.get("p") == data

    def test_a_put_cut_off_leaves_nothing(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        proxy.script(lose(first_bytes=50_000), method="PUT", times=None)

        with pytest.raises(TransientError, match="cannot write"):
            exchange.put("p", bytes(100_000))

        assert exchange.size("p") is None

    def test_a_put_damaged_on_the_way_is_noticed_and_repeated(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        data = os.urandom(100_000)
        proxy.script(flip(70_000, request=True), method="PUT")

        exchange.put("p", data)

        assert exchange.get("p") == data
        assert proxy.count("PUT") == 2

    def test_every_write_carries_its_sha256(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        exchange.put("p", b"data")
        exchange.create("c", b"data")
        exchange.upload("u", [b"da", b"ta"])

        sent = [request.headers["x-amz-checksum-sha256"] for request in proxy.requests]

        assert sent == ["Om6weQ85rIfJTzhWst0sXREOaBFgImGpqSPTuyOtyLc="] * 3

    @pytest.mark.parametrize("count", [0, 30, 1000, 500_000, -1])
    def test_a_get_cut_off_is_repeated(self, exchange: S3Exchange, proxy: HttpProxy, count: int) -> None:
        data = os.urandom(1_000_000)
        exchange.put("p", data)
        proxy.script(cut(count), method="GET")

        assert exchange.get("p") == data

    def test_a_get_that_hangs_is_repeated(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        exchange.put("p", b"x")
        proxy.script(hang(), method="GET")

        assert exchange.get("p") == b"x"

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_a_store_that_refuses_for_now_is_asked_again(
        self, exchange: S3Exchange, proxy: HttpProxy, status: int
    ) -> None:
        exchange.put("p", b"x")
        proxy.script(answer(status), times=3)

        assert exchange.get("p") == b"x"

    def test_asking_ends_after_some_tries(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        proxy.script(answer(503, "SlowDown"), times=None)

        for use in (
            lambda: exchange.get("p"),
            lambda: exchange.put("p", b"x"),
            lambda: exchange.size("p"),
            lambda: exchange.delete("p"),
            lambda: exchange.create("p", b"x"),
            lambda: next(exchange.stream("p")),
        ):
            proxy.requests.clear()
            with pytest.raises(TransientError, match="503") as error:
                use()
            assert error.value.exit_code == 75
            assert s3.TRIES <= proxy.count() <= s3.TRIES + 1

    def test_asking_ends_after_some_time(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        proxy.script(hang(), times=None)
        started = time.monotonic()

        with pytest.raises(TransientError, match="no answer in time"):
            exchange.get("p")

        assert time.monotonic() - started < s3.DEADLINE_TIMEOUTS * 1 + 1.5

    def test_no_store_at_all_is_for_a_later_attempt(self, settings: Settings) -> None:
        with pytest.raises(TransientError, match=r"no connection.*AWS_ENDPOINT_URL"):
            S3Exchange.open(replace(settings, s3_endpoint="http://127.0.0.1:1")).get("p")

    def test_a_stream_goes_on_where_it_broke(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        data = os.urandom(1_000_000)
        exchange.put("p", data)
        proxy.forget()
        proxy.script(cut(50_000), method="GET", skip=1)

        assert b"".join(exchange.stream("p", 300_000)) == data

        assert [request.headers["range"].partition("-")[0] for request in proxy.requests] == [
            "bytes=0",
            "bytes=300000",
            "bytes=300000",
            "bytes=600000",
            "bytes=900000",
        ]

    def test_an_object_replaced_under_a_stream_is_no_mixture(self, exchange: S3Exchange) -> None:
        exchange.put("p", b"a" * 1000)
        stream = exchange.stream("p", 100)
        next(stream)
        exchange.put("p", b"b" * 1000)

        with pytest.raises(TransientError, match="replaced while it was read"):
            list(stream)


@pytest.mark.parametrize(
    "use",
    [
        "exchange.get('a')",
        "exchange.create('a', b'x')",
        "exchange.upload('a', (bytes(2**20) for _ in range(40)))",
        "next(exchange.stream('a'))",
    ],
)
def test_sigterm_ends_a_task_that_waits_for_the_store(
    exchange_environment: Mapping[str, str], proxy: HttpProxy, use: str
) -> None:
    """A container's grace time is shorter than the patience of a request."""
    proxy.script(hang(), times=None)
    program = f"""
import os, sys
from haulier.errors import Cancelled
from haulier.exchange import open_exchange
from haulier.run import cancel_on_signals
from haulier.settings import Settings

exchange = open_exchange(Settings.from_env(os.environ))
cancel_on_signals()
try:
    {use}
except Cancelled as exc:
    sys.exit(exc.exit_code)
"""
    environment = {**os.environ, **exchange_environment, "AWS_ENDPOINT_URL": proxy.url}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as process:
        deadline = time.monotonic() + 20
        while not proxy.requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        assert process.wait(20) == 143
        assert time.monotonic() - asked < 5
