"""What an exchange on S3 says when it is refused for good."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from support.faults import hurried, proxied
from support.proxy import HttpProxy, answer

from haulier.errors import DefinitionError, HaulierError, TransientError
from haulier.exchange import s3
from haulier.exchange.s3 import UPLOAD_BYTES, S3Exchange
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
