"""One PutObject signed by hand (AWS Signature Version 4): a client that sends a wrong checksum is not for sale."""

from __future__ import annotations

import base64
import hashlib
import hmac
import urllib.request
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from haulier.settings import Settings


def signed(settings: Settings, key: str, body: bytes, *, sha256: bytes) -> urllib.request.Request:
    """A request that stores ``body`` and says that its SHA-256 is ``sha256``."""
    endpoint = (settings.s3_endpoint or "").rstrip("/")
    bucket, _, prefix = settings.exchange.removeprefix("s3://").partition("/")
    path = "/".join(part for part in (bucket, prefix.strip("/"), key) if part)
    now = datetime.now(UTC)
    day, region = f"{now:%Y%m%d}", settings.s3_region
    headers = {
        "host": urlsplit(endpoint).netloc,
        "x-amz-checksum-sha256": base64.b64encode(sha256).decode(),
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    if settings.s3_session_token:
        headers["x-amz-security-token"] = settings.s3_session_token
    names = ";".join(sorted(headers))
    url = f"{urlsplit(endpoint).path}/{quote(path)}"
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = "\n".join(["PUT", url, "", listed, names, headers["x-amz-content-sha256"]])
    scope = f"{day}/{region}/s3/aws4_request"
    digest = hashlib.sha256(asked.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    secret = f"AWS4{settings.s3_secret_access_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    said = f"AWS4-HMAC-SHA256 Credential={settings.s3_access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return urllib.request.Request(  # noqa: S310 - the endpoint was checked by the exchange
        f"{endpoint}/{quote(path)}", data=body, headers={**headers, "Authorization": said}, method="PUT"
    )
