"""What obstore says when there was no answer at all, in this project's words.

What stores answer is asked of a real one, in ``tests/contract/test_exchange_refusals.py``.
"""

from __future__ import annotations

import pytest
from obstore.exceptions import GenericError

from haulier.errors import DefinitionError, TransientError
from haulier.exchange.refusals import Unavailable, explain

#: As obstore 0.12 says it, shortened.
_NO_ANSWER = """Generic S3 error: Error performing GET https://s3.example/bucket/k in 88ms - HTTP error: error sending request

Debug source:
Generic {{
    store: "S3",
    source: RetryError(
        RetryErrorImpl {{
            method: GET,
            uri: Some(
                https://s3.example/bucket/k,
            ),
            inner: Http(
                HttpError {{
                    kind: {kind},
                    source: reqwest::Error {{
                        kind: Request,
                        source: {source},
                    }},
                }},
            ),
        }},
    ),
}}"""


def explained(kind: str, source: str) -> Exception:
    told = GenericError(_NO_ANSWER.format(kind=kind, source=source))
    return explain(told, "read", "k", "s3://bucket", "https://s3.example")


@pytest.mark.parametrize(
    ("kind", "source", "words"),
    [
        ("Connect", 'ConnectError("tcp connect error", 127.0.0.1:1, Os { code: 111, kind: ConnectionRefused, message: "Connection refused" })', "no connection (Connection refused)"),
        ("Connect", 'ConnectError("dns error", Custom { kind: Uncategorized })', "no connection (dns error)"),
        ("Timeout", "TimedOut", "no answer in time"),
        ("Interrupted", "hyper::Error(IncompleteMessage)", "the connection broke"),
        ("Decode", "hyper::Error(Body)", "in the middle of the answer"),
        ("Request", 'Os { message: "secret=\\"x\\"" }', "the connection broke"),
        ("Unheard", "Of", "the connection broke"),
    ],
)  # fmt: skip
def test_no_answer_is_for_a_later_attempt(kind: str, source: str, words: str) -> None:
    error = explained(kind, source)

    assert isinstance(error, Unavailable)
    assert isinstance(error, TransientError)
    assert words in str(error)
    assert "s3://bucket/k" in str(error)
    assert "AWS_ENDPOINT_URL" in str(error)
    assert "secret" not in str(error)


def test_a_certificate_that_is_not_trusted_is_a_wrong_setting() -> None:
    error = explained(
        "Connect", "Custom { kind: InvalidData, error: InvalidCertificate(\n  UnknownIssuer,\n) }"
    )

    assert isinstance(error, DefinitionError)
    assert "(UnknownIssuer)" in str(error)
    assert "SSL_CERT_FILE" in str(error)


def test_no_role_on_this_machine_is_a_wrong_setting() -> None:
    text = "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 1s - HTTP error: error"

    error = explain(GenericError(text), "read", "k", "s3://bucket", "AWS")

    assert isinstance(error, DefinitionError)
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set" in str(error)
