"""What S3 and obstore answer when they do not do it, in this project's words and exit codes.

obstore gives status and error code in its text only. That text also quotes the whole answer, and
an answer may quote a credential: nothing of it is passed on but what is matched here.
"""

from __future__ import annotations

import re

from haulier.errors import DefinitionError, HaulierError, TransientError
from haulier.exchange import ObjectMissing

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>|code: \"(\w{1,64})\"")
_CAUSE = re.compile(r"kind: (Connect|Timeout|Interrupted|Decode|Request)\b")
#: An operating system's or a TLS library's own words, which name no secret.
_DETAIL = re.compile(r"InvalidCertificate\(\s*(\w+)|message: \"([\w ,.:'()-]{1,120})\"|\"(dns error)\"")
#: Where object_store asks for a machine's role when no credentials are set.
_METADATA_SERVICE = re.compile(r"169\.254\.169\.254|/latest/(api/token|meta-data/)")

_CAUSES = {
    "Connect": "no connection",
    "Timeout": "no answer in time",
    "Interrupted": "the connection broke",
    "Decode": "the connection broke in the middle of the answer",
    "Request": "the connection broke",
}
#: Refusals of these codes are the network's fault, whatever their status says.
_PASSING_CODES = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "InternalError",
        "NoSuchUpload",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_PASSING_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504})

_ANY_CREDENTIAL = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_CREDENTIALS = {
    "InvalidAccessKeyId": ("AWS_ACCESS_KEY_ID", "the store does not know this access key"),
    "SignatureDoesNotMatch": ("AWS_SECRET_ACCESS_KEY", "it does not belong to AWS_ACCESS_KEY_ID"),
    "ExpiredToken": ("AWS_SESSION_TOKEN", "it has expired; get new temporary credentials"),
    "InvalidToken": ("AWS_SESSION_TOKEN", "the store does not accept it"),
}
_WRONG_REGION = frozenset(
    {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)


class Unavailable(TransientError):
    """It was not done, or nobody knows; asking again may help."""


class Taken(Exception):
    """A conditional write found its key taken."""


class OutOfRange(Exception):
    """The piece asked for begins behind the object's last byte."""


def explain(
    exc: Exception, verb: str, key: str, url: str, endpoint: str
) -> HaulierError | Taken | OutOfRange:
    """The exception that stands for what obstore raised while ``verb`` was done to ``key``."""
    text = str(exc)
    status = int(found[1]) if (found := _STATUS.search(text)) else None
    code = (found[1] or found[2]) if (found := _CODE.search(text)) else None
    what = f"cannot {verb} {url}/{key}"
    facts = {"store": url, "key": key, "status": status, "code": code}

    if code == "NoSuchBucket":
        return DefinitionError(
            f"HAULIER_EXCHANGE: {endpoint} has no bucket for {url}; create it or correct the name", **facts
        )
    if status == 404 and verb in ("read", "delete"):
        return ObjectMissing(f"{url}/{key} is not there", **facts)
    if status in (304, 412) and verb == "create":
        return Taken()
    if status == 412 and verb == "read":
        return TransientError(f"{what}: it was replaced while it was read; try again", **facts)
    if status == 416 and verb == "read":
        return OutOfRange()
    if code in _PASSING_CODES or status in _PASSING_STATUSES:
        return Unavailable(f"{what}: {endpoint} answered {_answer(status, code)}; try again later", **facts)
    if code == "RequestTimeTooSkewed":
        return TransientError(
            f"{what}: this machine's clock is more than 15 minutes from the store's; set it", **facts
        )
    if code in _CREDENTIALS:
        variable, problem = _CREDENTIALS[code]
        return DefinitionError(f"{what}: {variable}: {problem} ({code})", **facts)
    if status in (301, 307, 308) or code in _WRONG_REGION or "configured region" in text:
        return DefinitionError(
            f"{what}: AWS_REGION: the bucket is in another region ({_answer(status, code)})", **facts
        )
    if _METADATA_SERVICE.search(text):
        return DefinitionError(
            f"{what}: {_ANY_CREDENTIAL} are not set, and this machine has no role in their place", **facts
        )
    if status in (401, 403) or code == "AccessDenied":
        problem = f"{what}: the credentials in {_ANY_CREDENTIAL} may not do that ({_answer(status, code)})"
        if verb == "read":
            problem += "; AWS says so of a missing object, too, unless they may do s3:ListBucket"
        return DefinitionError(problem, **facts)
    if status is not None:
        return DefinitionError(f"{what}: {endpoint} refused it for good ({_answer(status, code)})", **facts)
    cause = _CAUSES[found[1]] if (found := _CAUSE.search(text)) else "no usable answer"
    detail = next(filter(None, found.groups())) if (found := _DETAIL.search(text)) else None
    if "InvalidCertificate" in text:
        return DefinitionError(
            f"{what}: the certificate of {endpoint} is not trusted ({detail}); "
            "SSL_CERT_FILE names the authorities to trust",
            **facts,
        )
    return Unavailable(
        f"{what}: {cause}{f' ({detail})' if detail else ''} from {endpoint}; "
        "try again later, or check AWS_ENDPOINT_URL",
        **facts,
    )


def _answer(status: int | None, code: str | None) -> str:
    return " ".join(str(part) for part in (status, code) if part is not None)
