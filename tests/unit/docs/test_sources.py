"""docs/sources.md speaks of every format and store there is, and links to tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

from haulier_extract.formats import FORMATS
from haulier_extract.sources.stores import STORES

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "sources.md").read_text(encoding="utf-8")


def test_every_format_and_store_has_its_line() -> None:
    formats = set(re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE))

    assert formats == set(FORMATS)
    assert all(f"`{scheme}://" in PAGE for scheme in STORES if scheme)


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE)

    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
