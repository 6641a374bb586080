"""What a definition of an API may not say, and that no message repeats a secret."""

from __future__ import annotations

import msgspec
import pytest

from haulier.checks import of_instance
from haulier.checks.http import of_http
from haulier.definitions import Transform
from haulier.definitions.formats import Csv
from haulier.definitions.sources import Http, Source

GOOD = {"url": "https://api.test/v1/{site}/results"}


def problems(csv=None, **http):
    told = msgspec.convert({**GOOD, **http}, Http)
    return [(".".join(map(str, p.trail)), p.text) for p in of_http(told, csv, {"instance", "site"})]


def test_what_works_has_no_problem():
    assert (
        problems(
            parameters={
                "since": "{start}",
                "until": "{end:%Y-%m-%d}",
                "at": "{start:epoch}",
                "site": "{site}",
            },
            headers={"X-Study": "{instance}"},
            auth={
                "oauth2": {"token_url": "https://api.test/token", "client_id": "a", "client_secret": "LAB"}
            },
            pages={"by": "page", "size": 100, "size_parameter": "per_page"},
            records="data.items",
        )
        == []
    )


@pytest.mark.parametrize(
    ("http", "where", "what"),
    [
        ({"url": "ftp://host/x"}, "source.http.url", "is no address"),
        ({"url": "https://host:port/x"}, "source.http.url", "is no address"),
        ({"url": "https://a b/x"}, "source.http.url", "is no address"),
        ({"url": "https://host/x?y=1"}, "source.http.url", "source.http.parameters"),
        ({"url": "https://host/{sight}"}, "source.http.url", "{site}"),
        ({"parameters": {"a": "{start:%Q}"}}, "source.http.parameters.a", "%Q"),
        ({"parameters": {"a": "{begin}"}}, "source.http.parameters.a", "{begin}"),
        ({"headers": {"Authorization": "x"}}, "source.http.headers.Authorization", "source.http.auth"),
        ({"headers": {"a b": "x"}}, "source.http.headers.a b", "cannot be a header's name"),
        ({"headers": {"X-A": "b\r\nX-B: c"}}, "source.http.headers.X-A", "line end"),
        ({"auth": {}}, "source.http.auth", "says nothing"),
        (
            {"auth": {"bearer": "A", "basic": {"user": "u", "password": "B"}}},
            "source.http.auth",
            "exclude each other",
        ),
        (
            {"pages": {"by": "page"}, "parameters": {"page": "1"}},
            "source.http.parameters.page",
            "is filled by",
        ),
        (
            {"pages": {"by": "page", "size_parameter": "n"}},
            "source.http.pages.size_parameter",
            "write it as size",
        ),
        ({"csv": Csv(), "pages": {"by": "page"}}, "source.http.pages", "CSV comes in one answer"),
        ({"csv": Csv(), "records": "data"}, "source.http.records", "leads through JSON"),
    ],
)
def test_what_cannot_work_is_named(http, where, what):
    found = problems(**http)

    assert [place for place, _ in found] == [where]
    assert what in found[0][1]


@pytest.mark.parametrize(
    ("http", "where"),
    [
        ({"auth": {"bearer": "sk-live-1234"}}, "source.http.auth.bearer"),
        ({"auth": {"bearer": "HUNTER2_FILE"}}, "source.http.auth.bearer"),
        ({"auth": {"basic": {"user": "u", "password": "hunter2"}}}, "source.http.auth.basic.password"),
        ({"url": "https://user:hunter2@host/x"}, "source.http.url"),
    ],
)
def test_a_secret_that_was_written_down_is_not_repeated(http, where):
    ((place, text),) = problems(**http)

    assert place == where
    assert "hunter2" not in text.lower()
    assert "1234" not in text


@pytest.mark.parametrize(
    ("form", "told"),
    [("parquet", {}), ("excel", {}), ("fixed", {"columns": [{"name": "a", "width": 3}]})],
)
def test_a_format_of_files_beside_an_api_is_refused(form, told):
    source = msgspec.convert({"http": {"url": "https://api.test/x"}, form: told}, Source)
    (problem,) = of_instance(source, Transform(), {})

    assert problem.trail == ("source", form)
    assert "is for files" in problem.text
