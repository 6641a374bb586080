"""Files behind an address, from a real web server with a certificate of its own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.https import ROWS, Server

from haulier.definitions import Instance
from haulier.definitions.sources import Files, Ready, Source
from haulier.errors import DefinitionError, TransientError
from haulier.interval import Interval
from haulier.settings import Settings
from haulier_extract.sources import Found, Vanished, find

DAY = Interval(start=datetime(2026, 1, 5, tzinfo=UTC), end=datetime(2026, 1, 6, tzinfo=UTC))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    yield made
    made.close()


def look(server: Server, path: str, **options: Any) -> Found:
    files = Files(path=f"{server.url}{path}", **options)
    return find(Instance(pipeline="things", instance="main", source=Source(files=files)), DAY, Settings())


def test_each_day_has_its_address_and_one_that_is_not_there_yet_is_nothing(server: Server) -> None:
    server.put("/labs/2026-01-04.csv")
    server.put("/labs/2026-01-05.csv", ROWS * 100_000)

    found = look(server, "/labs/{date:%Y-%m-%d}.csv", select="name", look_back_days=2)

    assert [file.uri for file in found.files] == [f"{server.url}/labs/2026-01-0{day}.csv" for day in (4, 5)]
    assert [file.logical_name for file in found.files] == ["2026-01-04.csv", "2026-01-05.csv"]
    assert b"".join(found.files[1].open()) == ROWS * 100_000
    assert found.files[1].bytes == len(ROWS) * 100_000


def test_one_address_is_of_the_run_in_which_it_was_modified(server: Server) -> None:
    server.put("/now.csv", Last_Modified="Mon, 05 Jan 2026 12:00:00 GMT")
    server.put("/before.csv", Last_Modified="Sun, 04 Jan 2026 12:00:00 GMT")
    server.put("/never.csv")

    assert [file.modified_at.hour for file in look(server, "/now.csv").files] == [12]
    assert look(server, "/before.csv") == Found(files=())
    assert "does not say when it was modified" in look(server, "/never.csv").waiting[0]


def test_what_may_be_half_there_waits(server: Server) -> None:
    at = "Mon, 05 Jan 2026 12:00:00 GMT"
    server.put("/a.csv", b"thing\none", Last_Modified=at)
    server.put("/b.csv", Last_Modified=at)

    assert "its last line has no end" in look(server, "/a.csv").waiting[0]
    marked = Ready(marker="{name}.done")
    assert "its marker b.csv.done is not there" in look(server, "/b.csv", ready=marked).waiting[0]
    server.put("/b.csv.done", b"", Last_Modified=at)
    assert len(look(server, "/b.csv", ready=marked).files) == 1


def test_a_file_that_is_gone_when_it_is_kept_has_vanished(server: Server) -> None:
    server.put("/a.csv", Last_Modified="Mon, 05 Jan 2026 12:00:00 GMT")
    (file,) = look(server, "/a.csv").files
    server.has.clear()

    with pytest.raises(Vanished):
        list(file.open())


@pytest.mark.parametrize(
    ("status", "error"), [(403, DefinitionError), (500, TransientError), (429, TransientError)]
)
def test_a_servers_refusal_has_its_own_exit_code(server: Server, status: int, error: type[Exception]) -> None:
    server.put("/a.csv", status=status)

    with pytest.raises(error, match=f"its server answered {status}"):
        look(server, "/a.csv")


def test_a_redirect_is_followed_but_never_out_of_https(server: Server) -> None:
    server.put("/a.csv", Last_Modified="Mon, 05 Jan 2026 12:00:00 GMT")
    server.put("/moved.csv", b"", status=302, Location="/a.csv")
    server.put("/out.csv", b"", status=302, Location="http://localhost/a.csv")

    assert len(look(server, "/moved.csv").files) == 1
    with pytest.raises(DefinitionError, match="leads to an address without https"):
        look(server, "/out.csv")


def test_a_certificate_nobody_vouches_for_is_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(DefinitionError, match=r"its certificate is not trusted .*SSL_CERT_FILE names"):
        look(server, "/a.csv")


def test_a_server_that_is_away_is_worth_another_try(server: Server) -> None:
    server.close()

    with pytest.raises(TransientError, match="try again later"):
        look(server, "/a.csv")


def test_half_an_answer_is_no_file(server: Server) -> None:
    server.put("/a.csv", Last_Modified="Mon, 05 Jan 2026 12:00:00 GMT", Content_Length="1000")

    with pytest.raises(TransientError, match="connection broke"):
        look(server, "/a.csv")
