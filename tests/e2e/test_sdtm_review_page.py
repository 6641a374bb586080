"""What data managers look at: one page that shows a trial's figures safely, and what cannot be shown."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from support.reviewing import AS_OF, HOSTILE, figures, hauled, of, place, review


@pytest.fixture(scope="module")
def trial(tier, tmp_path_factory):
    with hauled(tier, tmp_path_factory.mktemp("review")) as site:
        yield site


class Reading(HTMLParser):
    """What a browser would make of the page."""

    def __init__(self):
        super().__init__()
        self.tags, self.words, self.ids, self.links = Counter(), [], set(), set()
        self.pictures = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags[tag] += 1
        assert not any(name.startswith("on") or name in ("src", "style") for name in given), (tag, attrs)
        self.ids.add(given.get("id"))
        if "href" in given:
            self.links.add(given["href"])
        if tag == "svg":
            self.pictures.append(given.get("role"))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page(trial, tmp_path_factory):
    to = tmp_path_factory.mktemp("page") / "review.html"
    done = review(trial, "--as-of", AS_OF, "--days", "12", "--to", str(to))
    assert (done.returncode, done.stderr) == (0, "")
    return to.read_text(encoding="utf-8")


def read(page):
    reading = Reading()
    reading.feed(page)
    return reading


def test_what_a_site_sends_is_text_on_the_page_and_nothing_else(page):
    reading = read(page)

    assert HOSTILE in " ".join(reading.words)
    assert "<img" not in page
    assert not {"img", "script", "link", "iframe", "object"} & set(reading.tags)


def test_the_page_needs_nothing_else_and_can_be_read_by_anybody(page):
    reading = read(page)

    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert not re.search(r"https?://|url\(|@import", page)
    assert reading.tags["table"] == reading.tags["caption"] == reading.tags["thead"] > 10
    assert reading.pictures
    assert set(reading.pictures) == {"img"}
    assert page.count("<svg") == len(re.findall(r"<svg[^>]*><title>[^<]", page))
    assert all(link.startswith("#") and link[1:] in reading.ids for link in reading.links)


def test_the_page_says_which_sections_no_study_bounds(page):
    words = " ".join(read(page).words)

    assert "The site board, the queries and the schema changes are of all studies in the database." in words


def test_the_same_moment_gives_the_same_bytes(trial, page, tmp_path):
    to = tmp_path / "again.html"
    to.write_text("an older one", encoding="utf-8")
    done = review(trial, "--as-of", AS_OF, "--days", "12", "--to", str(to))

    assert done.returncode == 0
    assert to.read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["again.html"]


@pytest.mark.requirement("R-17")
def test_blinded_columns_never_reach_it(trial, page, tmp_path):
    contract = trial.folder / "definitions/contracts/lb.odcs.yaml"
    before = contract.read_text(encoding="utf-8")
    assert "secret" not in page.lower()
    try:
        blinded = before.replace(
            "      - name: lbstresn\n", "      - name: lbstresn\n        classification: blinded\n"
        )
        assert blinded != before
        contract.write_text(blinded, encoding="utf-8")
        found = figures(trial)
    finally:
        contract.write_text(before, encoding="utf-8")

    assert "LBSTRESN" in found["blinded"]
    assert of(found["trends"]["domains"], domain="LB") == {
        **{"domain": "LB", "tests": [], "steps": [], "left_out": [], "beyond": None}
    }
    assert of(found["trends"]["domains"], domain="VS")["tests"]


def test_a_trial_without_rows_gets_a_page_that_says_so(tier, tmp_path):
    with place(tier, tmp_path, ("101",)) as site:
        done = review(site, "--as-of", AS_OF, "--to", str(tmp_path / "empty.html"))
        page = (tmp_path / "empty.html").read_text(encoding="utf-8")

    assert (done.returncode, done.stderr) == (0, "")
    assert "There are no SDTM rows yet" in page
    assert "No query was raised." in page
    assert "Nothing was loaded." in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--to: name the page's file, or ask for --output json"),
        (["--output", "json", "--days", "0"], "--days 0: a board has 1 to 92 days"),
        (["--output", "json", "--study", "OTHER"], "there is no such study; there are: REV-1"),
        (
            ["--output", "json", "--schema", "nowhere", "--study", "REV-1"],
            "schema nowhere has none of dm, vs, lb",
        ),
        (["--output", "json", "--visits", "no.csv"], "no.csv cannot be read as visits"),
        (["--to", "nowhere/review.html"], "there is no folder"),
        (["--output", "json", "--as-of", "today"], "--as-of"),
    ],
)
def test_what_cannot_be_reviewed_says_why(trial, arguments, said):
    done = review(trial, *arguments)

    assert done.returncode == 2
    assert said in done.stderr
