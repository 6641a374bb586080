"""A definition is approved by somebody else, as it is; a run records who wrote it and who approved it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.databases import Database
from support.site import Site

from haulier.approvals import approval_digest
from haulier.errors import DefinitionError
from haulier.loading import load_pipeline
from haulier_command.__main__ import main
from haulier_extract.check import check

pytestmark = pytest.mark.requirement("R-10")

WORDS = "version 1.3 by Ada, approved by Grace on 2026-01-04"


class Approved(Site):
    """A site whose pipeline somebody approves."""

    def define_with(self, approval: dict[str, Any] | None = None, **more: Any) -> None:
        self.define(
            {"csv": {}}, "*.csv", columns={"thing": ("string", "text"), "price": ("number", "numeric(12,2)")}
        )
        path = self.definitions / "pipelines" / "things.yaml"
        document = {**json.loads(path.read_text()), **more}
        path.write_text(json.dumps({**document, **({"approval": approval} if approval else {})}))

    def approve(self, **other: Any) -> None:
        said = {
            "version": "1.3",
            "author": "Ada",
            "approver": "Grace",
            "on": "2026-01-04",
            "digest": self.digest(),
        }
        path = self.definitions / "pipelines" / "things.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), "approval": {**said, **other}}))

    def digest(self) -> str:
        return approval_digest(load_pipeline(self.definitions, "things"))

    def requiring(self) -> None:
        self.environment["HAULIER_REQUIRE_APPROVAL"] = "true"

    def findings(self) -> list[str]:
        return [str(text) for subject, text in check("things", None, self.settings) if subject == "things"]


@pytest.fixture
def site(database: Database, exchange_environment: dict[str, str], tmp_path: Path) -> Approved:
    made = Approved.made(database, exchange_environment, tmp_path)
    made.define_with()
    made.send("a.csv", b"thing,price\none,1\n")
    return made


def test_a_run_records_who_wrote_and_who_approved(site: Approved, capsys: pytest.CaptureFixture[str]) -> None:
    site.approve()
    site.requiring()

    assert site.run()["load"].outcome == "loaded"

    assert site.database.rows("SELECT versions ->> 'approval' FROM haulier.load") == [(WORDS,)]
    main(["trace", "shop.things", "thing=one"], site.environment)
    assert WORDS in capsys.readouterr().out
    into = site.landing.parent / "export"
    main(["audit", "shop.things", "--into", str(into)], site.environment)
    assert json.loads((into / "trail.jsonl").read_text())["approved"] == WORDS
    assert WORDS in (into / "trail.html").read_text()


def test_without_an_approval_nothing_is_hauled_where_one_is_required(site: Approved) -> None:
    assert site.run()["extract"].outcome == "sealed"
    site.requiring()
    site.send("b.csv", b"thing,price\ntwo,2\n")

    with pytest.raises(
        DefinitionError, match=rf"things.yaml: approval: is not approved.* digest: {site.digest()}"
    ):
        site.run()

    assert site.database.rows("SELECT count(*) FROM haulier.delivery") == [(1,)]
    assert site.findings() == [
        f"approval: is not approved: somebody other than its author adds approval to it, with digest: {site.digest()}"
    ]


CHANGES = {
    "definition": lambda site: site.define_with(load={"mode": "upsert", "reject_threshold": 0.5}),
    "contract": lambda site: site.contract(
        {"thing": ("string", "text"), "price": ("number", "numeric(10,2)")}
    ),
    "function": lambda site: (site.definitions / "functions" / "own.py").write_text(
        "def same(batch):\n    return 0\n"
    ),
    "reference": lambda site: (site.definitions / "pipelines" / "units.csv").write_text(
        "unit,factor\nmg,2\n"
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_changes_afterwards_the_approval_is_of_something_else(site: Approved, what: str) -> None:
    (site.definitions / "functions").mkdir()
    (site.definitions / "functions" / "own.py").write_text("def same(batch):\n    return batch\n")
    (site.definitions / "pipelines" / "units.csv").write_text("unit,factor\nmg,1\n")
    transform = {"functions": ["own.same"], "references": {"units": "units.csv"}}
    site.define_with(transform=transform)
    site.approve()
    site.requiring()
    assert site.findings() == []

    said = json.loads((site.definitions / "pipelines" / "things.yaml").read_text())["approval"]
    CHANGES[what](site)
    if what == "definition":
        site.define_with(said, transform=transform, load={"mode": "upsert", "reject_threshold": 0.5})

    (found,) = site.findings()
    assert 'approval: version "1.3" was approved by Grace, and what it does has changed since' in found
    with pytest.raises(DefinitionError, match="what it does has changed since"):
        site.run()


def test_when_who_and_why_it_runs_need_no_new_approval(site: Approved) -> None:
    before = site.digest()
    site.approve()

    assert site.digest() == before
    said = json.loads((site.definitions / "pipelines" / "things.yaml").read_text())["approval"]
    site.define_with(said, operators=["night"], split={"rows": 10})
    site.requiring()
    assert site.findings() == []


def test_where_none_is_required_one_that_is_stale_is_said_and_not_recorded(site: Approved) -> None:
    site.approve(digest="0" * 64)

    outcomes = site.run()

    assert any("what it does has changed since" in note for note in outcomes["extract"].notes)
    assert site.database.rows("SELECT versions ? 'approval' FROM haulier.load") == [(False,)]


def test_check_says_what_to_approve(site: Approved, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--digests"], site.environment)
    assert f"with digest: {site.digest()}" in " ".join(capsys.readouterr().out.split())

    site.approve()
    main(["check", "--digests", "--output", "json"], site.environment)
    (found,) = [
        one
        for one in json.loads(capsys.readouterr().out)["checked"]
        if (one["by"], one["subject"]) == ("haulier", "pipeline things")
    ]
    assert found == {
        "by": "haulier",
        "subject": "pipeline things",
        "ok": True,
        "text": f"{WORDS}, digest: {site.digest()}",
    }


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"approver": "ada"}, 'approval.approver: "ada" is the author; somebody else approves'),
        (
            {"digest": "abc"},
            'approval.digest: "abc" is no digest; haulier check --digests says the right one',
        ),
    ],
)
def test_an_approval_that_is_none_is_refused(site: Approved, said: dict[str, str], problem: str) -> None:
    site.approve(**said)

    with pytest.raises(DefinitionError, match=problem.replace(".", r"\.")):
        site.run()
