"""The exchange on S3 while the network and the store misbehave: what is said to be done is done."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from support.manifests import KEYS, a_manifest
from support.proxy import HttpProxy, answer, cut, delay, flip, hang, lose, swallow

from haulier.errors import DataError, DefinitionError, HaulierError, TransientError
from haulier.exchange import ObjectMissing, s3
from haulier.exchange.s3 import UPLOAD_BYTES, S3Exchange
from haulier.manifest import Part
from haulier.parts import PartWriter, read_part, row_groups
from haulier.sealing import read_manifest, seal
from haulier.settings import Settings

MiB = 1024 * 1024


@pytest.fixture
def proxy(exchange_environment: Mapping[str, str]) -> Iterator[HttpProxy]:
    upstream = urlsplit(exchange_environment["AWS_ENDPOINT_URL"])
    assert upstream.port
    with HttpProxy(upstream.port, upstream.hostname or "127.0.0.1") as made:
        yield made


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    exchange_environment: Mapping[str, str],
    proxy: HttpProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    monkeypatch.setattr(s3, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(s3, "LONGEST_PAUSE_SECONDS", 0.05)
    timeout = getattr(request.cls, "TIMEOUT_SECONDS", "1")
    return Settings.from_env(
        {**exchange_environment, "AWS_ENDPOINT_URL": proxy.url, "HAULIER_S3_TIMEOUT_SECONDS": timeout}
    )


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


class TestUpload:
    #: Pieces of eight megabytes go through a proxy here: a busy machine needs more than a second for one.
    TIMEOUT_SECONDS = "6"
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


class TestDamage:
    """What comes back changed is never believed."""

    SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("text", pa.string())])

    @pytest.fixture
    def part(self, exchange: S3Exchange) -> Part:
        writer = PartWriter(exchange, KEYS, "extract", "attempt", self.SCHEMA)
        writer.write(
            pa.table({"n": range(1000), "text": [f"row {n}" for n in range(1000)]}, schema=self.SCHEMA)
        )
        (part,) = writer.close()
        return part

    @pytest.mark.parametrize("at", [0, 4, 2000, -1])
    def test_a_part_with_one_wrong_bit(
        self, exchange: S3Exchange, proxy: HttpProxy, part: Part, at: int
    ) -> None:
        proxy.script(flip(at), method="GET", path="part-", times=None)

        with pytest.raises(DataError) as error:
            next(row_groups(exchange, [part]))

        assert part.key in str(error.value)
        assert part.sha256 in str(error.value)
        assert error.value.context["found"] != part.sha256
        assert "--reprocess" in str(error.value)

    def test_a_part_damaged_on_the_way_only_is_read_again(
        self, exchange: S3Exchange, proxy: HttpProxy, part: Part
    ) -> None:
        proxy.script(flip(100), method="GET", path="part-")

        assert read_part(exchange, part).rows == 1000

    def test_a_manifest_with_one_wrong_bit(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        """Also where it is still a manifest, with another number in it."""
        seal(exchange, KEYS, a_manifest(produced=1000))
        stored = exchange.get(KEYS.manifest("extract"))
        number = stored.index(b'"produced":1000') + len(b'"produced":1')

        for at in (0, 15, number, len(stored) // 2, len(stored) - 1):
            proxy.forget()
            proxy.script(flip(at), method="GET", path="manifest.json", times=None)
            with pytest.raises(DataError):
                read_manifest(exchange, KEYS, "extract")

    def test_a_manifest_damaged_on_the_way_only_is_read_again(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        manifest = seal(exchange, KEYS, a_manifest())
        proxy.script(flip(200), method="GET", path="manifest.json")

        assert read_manifest(exchange, KEYS, "extract") == manifest

    def test_sealing_through_a_lost_answer_commits_our_own(
        self, exchange: S3Exchange, proxy: HttpProxy
    ) -> None:
        proxy.script(swallow(), method="PUT", path="manifest.json")

        assert seal(exchange, KEYS, a_manifest(step="transform")).attempt == "attempt-1"


class TestRefusals:
    """What no retry mends says which variable does."""

    @pytest.mark.parametrize(
        ("wrong", "names"),
        [
            ({"s3_access_key_id": "nobody"}, "AWS_ACCESS_KEY_ID"),
            ({"s3_secret_access_key": "wrong"}, "AWS_SECRET_ACCESS_KEY"),
            ({"exchange": "s3://there-is-no-such-bucket/x"}, "HAULIER_EXCHANGE"),
        ],
    )
    def test_a_wrong_setting_is_named_at_once(
        self, settings: Settings, proxy: HttpProxy, wrong: dict[str, str], names: str
    ) -> None:
        with pytest.raises(DefinitionError, match=names) as error:
            S3Exchange.open(replace(settings, **wrong)).get("a")

        assert error.value.exit_code == 2
        assert len(proxy.requests) == 1

    @pytest.mark.parametrize(
        ("status", "code", "names"),
        [
            (404, "NoSuchBucket", "HAULIER_EXCHANGE"),
            (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
            (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
            (400, "ExpiredToken", "AWS_SESSION_TOKEN"),
            (400, "InvalidToken", "AWS_SESSION_TOKEN"),
            (403, "AccessDenied", "AWS_ACCESS_KEY_ID"),
            (401, "", "AWS_ACCESS_KEY_ID"),
            (301, "PermanentRedirect", "AWS_REGION"),
            (400, "AuthorizationHeaderMalformed", "AWS_REGION"),
            (501, "NotImplemented", "501 NotImplemented"),
            (400, "InvalidRequest", "400 InvalidRequest"),
            (404, "", "refused it for good"),
        ],
    )
    def test_every_write_says_what_is_wrong(
        self, exchange: S3Exchange, proxy: HttpProxy, status: int, code: str, names: str
    ) -> None:
        proxy.script(answer(status, code), times=None)

        for use in (
            lambda: exchange.put("a", b"x"),
            lambda: exchange.create("a", b"x"),
            lambda: exchange.upload("a", [b"x"]),
            lambda: exchange.upload("a", [bytes(UPLOAD_BYTES + 1)]),
        ):
            proxy.requests.clear()
            with pytest.raises(DefinitionError, match=names):
                use()
            # The upload's own client repeats whatever is 5xx.
            assert len(proxy.requests) == 1 or (status == 501 and len(proxy.requests) == s3.TRIES)

    def test_a_wrong_clock_is_named(self, exchange: S3Exchange, proxy: HttpProxy) -> None:
        proxy.script(answer(403, "RequestTimeTooSkewed"))

        with pytest.raises(TransientError, match="clock"):
            exchange.get("a")

    def test_no_error_quotes_the_stores_answer_or_a_secret(
        self, settings: Settings, proxy: HttpProxy, exchange_environment: Mapping[str, str]
    ) -> None:
        """S3 quotes the access key, and the request it was sent, in its answers."""
        secret, key = "a-secret-nobody-may-see", "AKIAEXAMPLECANARY"
        exchange = S3Exchange.open(
            replace(
                settings,
                s3_access_key_id=key,
                s3_secret_access_key=secret,
                s3_session_token="token-" + secret,
            )
        )
        for status in (400, 403, 404, 409, 412, 500):
            code = f"Odd</Code><AWSAccessKeyId>{key}</AWSAccessKeyId><Token>token-{secret}</Token><Code>"
            proxy.script(answer(status, code), times=None)
            for use in (
                lambda: exchange.get("a"),
                lambda: exchange.create("a", b"x"),
                lambda: exchange.upload("a", [bytes(UPLOAD_BYTES + 1)]),
                lambda: next(exchange.stream("a")),
            ):
                try:
                    use()
                except HaulierError as exc:
                    told = "".join(traceback.format_exception(exc)) + repr(exc.context)
                    assert secret not in told
                    assert key not in told
            proxy.forget()

    def test_without_credentials_the_standard_variables_count(
        self, settings: Settings, exchange_environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, exchange_environment[name])
        exchange = S3Exchange.open(replace(settings, s3_access_key_id=None, s3_secret_access_key=None))

        exchange.put("a", b"x")

        assert exchange.get("a") == b"x"

    def test_without_any_credentials_the_variables_to_set_are_named(
        self, settings: Settings, proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", proxy.url)
        proxy.script(answer(403), path="/latest/", times=None)
        exchange = S3Exchange.open(replace(settings, s3_access_key_id=None, s3_secret_access_key=None))

        with pytest.raises(DefinitionError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"):
            exchange.get("a")

    @pytest.mark.parametrize(
        ("wrong", "names"),
        [
            ({"exchange": "s3://"}, "HAULIER_EXCHANGE"),
            ({"exchange": "s3:///prefix"}, "HAULIER_EXCHANGE"),
            ({"exchange": "s3://bucket/../x"}, "cannot be an object's key"),
            ({"s3_endpoint": "127.0.0.1:8333"}, "AWS_ENDPOINT_URL"),
            ({"s3_endpoint": "https://a b"}, "AWS_ENDPOINT_URL"),
            ({"s3_region": "Europe 1"}, "AWS_REGION"),
            ({"s3_access_key_id": None}, "AWS_ACCESS_KEY_ID: not set, though AWS_SECRET_ACCESS_KEY is"),
            ({"s3_secret_access_key": None}, "AWS_SECRET_ACCESS_KEY: not set, though AWS_ACCESS_KEY_ID is"),
        ],
    )
    def test_settings_that_cannot_be_right_are_refused_before_any_request(
        self, settings: Settings, proxy: HttpProxy, wrong: dict[str, str], names: str
    ) -> None:
        with pytest.raises(DefinitionError, match=names):
            S3Exchange.open(replace(settings, **wrong))

        assert proxy.requests == []

    def test_a_password_in_the_endpoint_is_not_shown(self, settings: Settings) -> None:
        with pytest.raises(DefinitionError, match="AWS_ENDPOINT_URL") as error:
            S3Exchange.open(replace(settings, s3_endpoint="http://me:pass-word@host"))

        assert "pass-word" not in str(error.value)


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


def test_a_step_of_ten_thousand_rows_costs_four_requests_on_kept_connections(
    exchange: S3Exchange, proxy: HttpProxy
) -> None:
    seal(exchange, KEYS, a_manifest())
    proxy.forget()
    schema = TestDamage.SCHEMA

    def transform() -> None:
        parent = read_manifest(exchange, KEYS, "extract")
        writer = PartWriter(exchange, KEYS, "transform", "attempt", schema)
        writer.write(pa.table({"n": range(10_000), "text": ["x"] * 10_000}, schema=schema))
        manifest = a_manifest(step="transform", parts=writer.close(), parent_digest=parent.input_digest)
        seal(exchange, KEYS, manifest)
        assert sum(table.num_rows for table in row_groups(exchange, manifest.parts)) == 10_000

    transform()

    told = [(request.method, request.path.rpartition("/")[2].partition("-")[0]) for request in proxy.requests]
    assert told == [("GET", "manifest.json"), ("PUT", "part"), ("PUT", "manifest.json"), ("GET", "part")]
    assert [r.headers.get("if-none-match") for r in proxy.requests] == [None, None, "*", None]
    # One; two were seen once, in a whole run on a busy machine, and why was not found.
    assert proxy.connections <= 2


def test_a_parts_digest_is_the_one_the_store_checked(exchange: S3Exchange, proxy: HttpProxy) -> None:
    import base64

    writer = PartWriter(exchange, KEYS, "extract", "attempt", TestDamage.SCHEMA)
    writer.write(pa.table({"n": [1], "text": ["x"]}, schema=TestDamage.SCHEMA))
    (part,) = writer.close()

    (sent,) = proxy.requests
    assert base64.b64decode(sent.headers["x-amz-checksum-sha256"]).hex() == part.sha256
    assert hashlib.sha256(exchange.get(part.key)).hexdigest() == part.sha256
