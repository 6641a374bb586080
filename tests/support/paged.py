"""Rows behind an API, every way to page through them, and the pipeline that asks for them."""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal

import yaml
from support.steps import haul
from support.things import DEFINITIONS, day, place

ROWS = [{"thing": f"t{n}", "colour": "red", "price": n + 0.5} for n in range(8)]
SECRETS = {"HAULIER_SECRET_LAB": "s3cret"}
WAYS = {
    "one answer": ("/whole", {}),
    "pages": ("/pages", {"pages": {"by": "page"}, "records": "data.items"}),
    "pages of a size": ("/pages", {"pages": {"by": "page", "size": 3}, "records": "data.items"}),
    "offsets": (
        "/offsets",
        {
            "pages": {"by": "offset", "parameter": "skip", "size": 3, "size_parameter": "limit"},
            "records": "data.items",
        },
    ),
    "cursors": (
        "/cursors",
        {"pages": {"by": "cursor", "parameter": "after", "next": "meta.next"}, "records": "data.items"},
    ),
    "links": ("/links", {"pages": {"by": "link"}, "records": "data.items"}),
}


@contextmanager
def asking(tier, tmp_path, api):
    """A pipeline whose source is the API; ``define`` says how it is asked."""
    definitions = tmp_path / "definitions"
    for folder in ("pipelines", "contracts"):
        (definitions / folder).mkdir(parents=True)
    with place(tier, tmp_path, HAULIER_DEFINITIONS=str(definitions), **SECRETS) as made:
        text = (DEFINITIONS / "contracts" / "things.odcs.yaml").read_text()
        (definitions / "contracts" / "things.odcs.yaml").write_text(text)

        def define(path, *, source=None, **http):
            document = {
                "pipeline": "things",
                "contract": "../contracts/things.odcs.yaml",
                "source": {"http": {"url": api.url + path, **http}, **(source or {})},
                "load": {"reject_threshold": 0.6},
            }
            (definitions / "pipelines" / "things.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
            return made

        yield define


def run(made, number=0, **asked):
    return haul(made.settings, "things", "main", day(number), **asked)


def table(made):
    return made.database.rows("SELECT thing, colour, price FROM shop.things ORDER BY thing")


EXPECTED = [(f"t{n}", "red", Decimal(f"{n}.5")) for n in range(8)]
