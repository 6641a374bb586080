"""An API as a source: every way to page, a server that fails on purpose, and what lands."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from support.api import Api, served
from support.ledger import findings
from support.paged import EXPECTED, ROWS, WAYS, asking, run, table

from haulier.errors import DataError, DefinitionError, TransientError
from haulier.exchange import open_exchange
from haulier_extract.check import check
from haulier_extract.sources.http import client


@pytest.fixture
def api():
    with served(Api(rows=ROWS)) as made:
        yield made


@pytest.fixture
def quick(monkeypatch):
    """Pauses between tries as short as they can be."""
    monkeypatch.setattr(client, "_FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def here(tier, tmp_path, api):
    with asking(tier, tmp_path, api) as define:
        yield define


@pytest.mark.parametrize("way", WAYS)
def test_every_page_is_hauled_once(here, api, way):
    path, asked = WAYS[way]
    made = here(path, **asked)
    outcome = run(made)["load"]

    assert (outcome.outcome, outcome.counts["inserted"]) == ("loaded", 8)
    assert table(made) == EXPECTED
    assert findings(made.settings) == []


@pytest.mark.parametrize("way", ["pages of a size", "offsets"])
def test_a_server_that_gives_smaller_pages_than_asked_for_loses_no_row(here, api, way):
    path, asked = WAYS[way]
    api.most = 2
    api.size = 2
    made = here(path, **asked)
    run(made)

    assert table(made) == EXPECTED


@pytest.mark.parametrize("beyond", ["nothing", "204", "404", "the last page"])
def test_one_page_that_is_not_full_is_all_however_the_server_says_so(here, api, beyond):
    api.rows, api.size, api.beyond = ROWS[:2], 3, beyond
    path, asked = WAYS["pages of a size"]
    made = here(path, **asked)
    run(made)

    assert table(made) == EXPECTED[:2]


def test_what_is_asked_says_the_interval_and_a_rerun_of_the_same_answer_is_done(here, api):
    made = here(
        "/whole",
        parameters={
            "since": "{start}",
            "until": "{end:%Y-%m-%d}",
            "at": "{start:epoch}",
            "site": "{instance}",
        },
    )
    assert run(made)["load"].outcome == "loaded"
    assert run(made)["load"].outcome == "already done"

    assert api.asked[0] == (
        "/whole",
        {"since": "2026-01-05T00:00:00Z", "until": "2026-01-06", "at": "1767571200", "site": "main"},
    )
    assert api.counts["/whole"] == 2
    (uri,) = made.database.rows("SELECT uri FROM haulier.delivery")[0]
    assert uri.endswith("/whole?since=2026-01-05T00%3A00%3A00Z&until=2026-01-06&at=1767571200&site=main")


def test_a_changed_answer_for_the_same_interval_is_a_correction(here, api):
    made = here("/whole")
    run(made)
    api.rows = [{**ROWS[0], "colour": "blue"}, *ROWS[1:]]
    outcome = run(made)["load"]

    assert (outcome.counts["updated"], outcome.counts["unchanged"]) == (1, 7)
    assert made.database.rows("SELECT sequence FROM haulier.delivery ORDER BY 1") == [(1,), (2,)]


@pytest.mark.parametrize("parameters", [{}, {"since": "{start}"}])
def test_a_corrected_address_takes_the_place_of_the_one_that_was_wrong(here, api, parameters):
    """Each time it is named anew, also where it was asked before and answers the same."""
    api.raw = json.dumps([{**one, "colour": "blue"} for one in ROWS]).encode()
    for generation, path in enumerate(["/raw_answer", "/whole", "/whole", "/raw_answer"], start=1):
        made = here(path, parameters=parameters)
        run(made, reprocess=f"it is {path}")

        hauled = made.database.rows(
            "SELECT generation, uri FROM haulier.generation_delivery JOIN haulier.delivery USING (delivery_id) "
            "ORDER BY generation DESC, delivery_id"
        )
        assert [one for one in hauled if one[0] >= generation] == [(generation, hauled[0][1])]
        assert path in hauled[0][1]
    assert {colour for _, colour, _ in table(made)} == {"blue"}
    assert findings(made.settings) == []


def test_a_correction_without_a_word_is_alone_in_its_run_too(here, api):
    api.raw = json.dumps([{"thing": "wrong", "price": 1}]).encode()
    run(here("/raw_answer"))
    made = here("/whole")
    run(made)

    assert made.database.rows("SELECT read FROM haulier.source_account ORDER BY load_id") == [(1,), (8,)]


def test_an_answer_that_was_quarantined_is_news_to_the_next_run_and_one_that_was_loaded_is_not(here, api):
    api.rows = [{**one, "price": "much"} for one in ROWS]
    made = here("/whole")
    assert run(made)["load"].outcome == "quarantined"
    assert run(made, 1)["load"].outcome == "quarantined"
    api.rows = ROWS
    assert run(made, 2)["load"].outcome == "loaded"

    assert run(made, 3)["extract"].outcome == "empty"


def test_an_answer_without_rows_is_an_empty_run_and_harms_nothing(here, api):
    made = here("/whole")
    run(made)
    api.rows = []
    outcomes = run(made, 1)

    assert list(outcomes) == ["extract"]
    assert outcomes["extract"].exit_code == 99
    assert table(made) == EXPECTED


@pytest.mark.parametrize("way", ["one answer", "pages", "cursors", "links", "csv"])
def test_an_answer_of_no_content_is_an_empty_run_and_harms_nothing(here, api, way):
    path, asked = WAYS.get(way, ("/whole", {"source": {"csv": {}}}))
    made = here(path, **asked)
    if way != "csv":
        run(made)
    before = table(made) if way != "csv" else []
    api.first = [(204, {}, b"")] * 2

    assert check(None, None, made.settings) == []
    assert run(made, 1)["extract"].exit_code == 99
    assert before == (table(made) if way != "csv" else [])


def test_numbers_arrive_as_they_were_written_and_bad_rows_wait_with_their_text(here, api):
    api.raw = b'[{"thing": "a", "colour": null,\n "price": 12345678901234567.0000000001}, {"thing": "b", "price": "much"}]'
    made = here("/csv", source={"jsonl": {}})
    run(made)

    assert made.database.rows("SELECT thing, colour, price::text FROM shop.things") == [
        ("a", None, "12345678901234567.0000000001")
    ]
    ((row, verbatim),) = made.database.rows("SELECT row_number, verbatim FROM haulier.reject")
    assert (row, bytes(verbatim)) == (2, b'{"thing":"b","price":"much"}')


def test_csv_is_kept_byte_for_byte(here, api):
    api.raw = "thing;colour;price\r\nä;rot;1.5\r\n".encode("cp1252")
    made = here("/csv", source={"csv": {"delimiter": ";", "encoding": "cp1252"}})
    run(made)

    assert table(made) == [("ä", "rot", Decimal("1.5"))]
    ((original,),) = made.database.rows("SELECT original FROM haulier.delivery")
    assert open_exchange(made.settings).get(original) == api.raw


def test_a_compressed_answer_is_read(here, api):
    import gzip

    api.first = [(200, {"content-encoding": "gzip"}, gzip.compress(json.dumps(ROWS).encode()))]
    made = here("/whole")
    run(made)

    assert table(made) == EXPECTED


def test_a_next_page_without_an_address_ends_the_run(here, api):
    api.other_host = "http://[nowhere"
    path, asked = WAYS["links"]
    with pytest.raises(DataError, match="names a next page that is no address"):
        run(here(path, **asked))


def test_check_asks_once_and_says_why_it_is_not_let_in(here, api):
    made = here("/whole", auth={"bearer": "LAB"})
    assert check("things", None, made.settings) == []
    api.authorization = "Bearer another"

    ((subject, problem),) = check("things", None, made.settings)
    assert (subject, "answers 401" in problem) == ("things/main", True)
    assert len(api.asked) == 2


@pytest.mark.usefixtures("quick")
class TestRefusals:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    def test_a_passing_one_is_waited_out(self, here, api, status):
        api.first = [(status, {}, b"not now")] * 3
        run(here("/whole"))

        assert api.counts["/whole"] == 4

    def test_the_pause_is_what_the_server_asks_for(self, here, api, monkeypatch):
        slept = []
        monkeypatch.setattr(client.time, "sleep", slept.append)
        api.first = [
            (429, {"retry-after": "7"}, b""),
            (503, {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, b""),
        ]
        run(here("/whole"))

        assert slept == [7.0, 0.0]

    @pytest.mark.parametrize(
        ("answers", "match"),
        [
            ([(503, {}, b"")] * 9, "it answers 503, after 3 of 3 tries"),
            ([(429, {"retry-after": "86400"}, b"")], "it answers 429, after 1 of 3 tries"),
        ],
    )
    def test_one_that_lasts_is_left_to_the_orchestrator(self, here, api, answers, match):
        api.first = answers
        with pytest.raises(TransientError, match=match):
            run(here("/whole", tries=3))

    @pytest.mark.parametrize(
        ("status", "match"),
        [(403, "does not let us in"), (404, "does not take this request"), (301, "has moved")],
    )
    def test_one_for_good_is_not_repeated(self, here, api, status, match):
        api.first = [(status, {"location": "/elsewhere"}, b"patient 17 not found")]
        with pytest.raises(DefinitionError, match=match) as refused:
            run(here("/whole"))
        assert len(api.asked) == 1
        assert "patient" not in str(refused.value)

    def test_who_does_not_answer_is_unavailable(self, here, api):
        made = here("/whole", tries=2)
        file = made.settings.definitions / "pipelines" / "things.yaml"
        file.write_text(file.read_text().replace(api.url, "http://127.0.0.1:9"))
        with pytest.raises(TransientError, match="cannot be reached"):
            run(made)


class TestAnswersThatAreNone:
    @pytest.mark.parametrize(
        ("body", "records", "match"),
        [
            (b"<html>", "", "its answer is no list of JSON"),
            (b'{"data": []}', "", "its answer is no list of JSON"),
            (b'{"data": {"item": []}}', "data.items", r"its answer has no data\.items"),
            (b'{"data": 5}', "data.items", r"no list at data\.items"),
            (b"[" * 100_000, "", "its answer is no list of JSON"),
        ],
    )
    def test_another_shape_is_named_without_its_content(self, here, api, body, records, match):
        api.raw = body
        with pytest.raises(DataError, match=match):
            run(here("/raw_answer", records=records))

    def test_an_answer_beyond_the_limit_is_not_held_in_memory(self, here, api):
        api.raw = b"[" + b" " * 5_000 + b"]"
        with pytest.raises(DataError, match=r"more than source\.http.page_bytes"):
            run(here("/raw_answer", page_bytes=1024))

    @pytest.mark.parametrize(
        ("path", "pages", "match"),
        [
            ("/circle", {"by": "cursor", "next": "meta.next"}, "a cursor that was used already"),
            ("/circle", {"by": "link"}, "a page that was read already"),
            ("/ignores", {"by": "page"}, "two pages are the same"),
            ("/ignores", {"by": "page", "size": 2}, "two pages are the same"),
            ("/ignores", {"by": "offset"}, "two pages are the same"),
        ],
    )
    def test_pages_without_an_end_are_noticed(self, here, api, path, pages, match):
        with pytest.raises(DataError, match=match):
            run(here(path, pages=pages, records="data.items"))
