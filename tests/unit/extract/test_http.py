"""What an API's headers say: of the next page, and of how long to wait."""

from __future__ import annotations

import pytest

from haulier_extract.sources.http.client import Answer, _seconds
from haulier_extract.sources.http.pages import _next_link


@pytest.mark.parametrize(
    "link",
    [
        "</b>; rel=next",
        '</b>; REL="Next"',
        '</b> ; rel = "next"',
        '</a>; rel=prev, </b>; rel="first next"',
        '</b>; title="a, b; c=d"; rel=next',
        '</b>; title="\\"this\\", that"; rel="next"',
        '</b>; title="x; rel=prev"; rel="next"',
        "</b>;; title*=UTF-8''b; rel=next; rel=prev",
    ],
)
def test_the_next_page_is_found_however_its_link_is_written(link):
    assert _next_link(Answer(body=b"", headers={"Link": link})) == "/b"


@pytest.mark.parametrize(
    "link",
    ["", "</b>", "</b>; rel=nextone", '</b>; title="rel=next"', "</b>; rel=prev; rel=next", "rel=next"],
)
def test_a_link_that_leads_elsewhere_is_no_next_page(link):
    assert _next_link(Answer(body=b"", headers={"Link": link})) is None


@pytest.mark.parametrize(
    "asked",
    ["soon", "\u00b2", "Wed, 21 Oct 2026 07:28:00 +99999999999999999", "Wed, 99 Oct 2026 07:28:00 GMT"],
)
def test_a_pause_that_says_nothing_is_ours_to_choose(asked):
    assert _seconds(asked) is None
