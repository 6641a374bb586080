"""The exchange's store behind a proxy that misbehaves, and a client that soon gives up on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from support.proxy import HttpProxy

from haulier.exchange import s3
from haulier.settings import Settings


@contextmanager
def proxied(environment: Mapping[str, str]) -> Iterator[HttpProxy]:
    """A proxy before the store of these variables."""
    upstream = urlsplit(environment["AWS_ENDPOINT_URL"])
    assert upstream.port
    with HttpProxy(upstream.port, upstream.hostname or "127.0.0.1") as made:
        yield made


def hurried(
    environment: Mapping[str, str], proxy: HttpProxy, monkeypatch: pytest.MonkeyPatch, *, seconds: int = 1
) -> Settings:
    """An exchange behind the proxy, whose requests wait this long and are soon repeated."""
    monkeypatch.setattr(s3, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(s3, "LONGEST_PAUSE_SECONDS", 0.05)
    return Settings.from_env(
        {**environment, "AWS_ENDPOINT_URL": proxy.url, "HAULIER_S3_TIMEOUT_SECONDS": str(seconds)}
    )
