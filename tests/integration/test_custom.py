"""A source that a user wrote works like a built-in one: the page's own 40 lines, and what they may do wrong."""

from __future__ import annotations

import re
import sqlite3
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.steps import haul
from support.things import Place, day, place

from haulier.errors import DefinitionError, HaulierError, Told, TransientError
from haulier.exchange import open_exchange
from haulier.keys import RunKeys
from haulier.manifest import Manifest
from haulier.sealing import read_manifest
from haulier.task import Task
from haulier_command.embedded import Tier
from haulier_extract.check import check
from haulier_extract.discovery import Wanted, discover
from haulier_extract.step import plan

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "own-source"
PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8").split("## A source of your own")[1]
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: things
version: 1.0.0
status: active
schema:
  - name: things
    physicalName: shop.things
    properties:
      - {name: thing, logicalType: string, primaryKey: true, required: true}
      - {name: price, logicalType: number, physicalType: "numeric(9,2)"}
"""


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def here(tier: Tier, tmp_path: Path) -> Iterator[Place]:
    for folder in ("pipelines", "contracts", "sources"):
        (tmp_path / folder).mkdir()
    with place(tier, tmp_path, HAULIER_DEFINITIONS=str(tmp_path)) as made:
        yield made


@pytest.fixture
def shop(here: Place) -> Place:
    """The page's source over the example's database and contract."""
    folder = here.settings.definitions
    (folder / "sources" / "shop.py").write_text(block("python"))
    contract = (EXAMPLE / "contracts" / "orders.odcs.yaml").read_text()
    (folder / "contracts" / "orders.odcs.yaml").write_text(contract)
    source = block("yaml")
    (folder / "pipelines" / "orders.yaml").write_text(
        f"pipeline: orders\ncontract: ../contracts/orders.odcs.yaml\n{source}instances: {{berlin: {{}}, paris: {{}}}}\n"
    )
    with closing(sqlite3.connect(here.landing / "shop.db")) as database:
        database.executescript((EXAMPLE / "shop.sql").read_text())
    return here


def sealed(made: Place, pipeline: str, instance: str = "main") -> Manifest:
    keys = RunKeys(pipeline=pipeline, instance=instance, interval=day(0), content="g1")
    return read_manifest(open_exchange(made.settings), keys, "extract")


def test_a_corrected_function_takes_the_place_of_the_one_that_was_wrong(shop: Place) -> None:
    settings = shop.settings
    haul(settings, "orders", "berlin", day(0))
    own = settings.definitions / "sources" / "shop.py"
    own.write_text(own.read_text().replace("def orders", "def right"))
    pipeline = settings.definitions / "pipelines" / "orders.yaml"
    pipeline.write_text(pipeline.read_text().replace("shop.orders", "shop.right"))
    haul(settings, "orders", "berlin", day(0), reprocess="it is another function")

    assert shop.database.rows(
        "SELECT uri LIKE 'custom://shop.right/%' FROM haulier.generation_delivery JOIN haulier.delivery USING (delivery_id) "
        "WHERE generation = 2"
    ) == [(True,)]


def orders(made: Place) -> list[tuple[object, ...]]:
    return made.database.rows("SELECT order_id, customer, amount::text FROM shop.orders ORDER BY 1")


def test_the_page_shows_the_example_itself() -> None:
    assert block("python") == (EXAMPLE / "sources" / "shop.py").read_text()
    assert block("yaml") in (EXAMPLE / "pipelines" / "orders.yaml").read_text()
    assert len(block("python").splitlines()) <= 42


def test_the_pages_source_is_checked_discovered_planned_and_hauled(shop: Place, tmp_path: Path) -> None:
    settings = shop.settings
    assert check(None, None, settings) == []

    wanted = Wanted(pipeline="orders", instance="berlin", interval=day(0))
    proposed = discover(wanted, settings)["contract"]["schema"][0]["properties"]
    assert [one["name"] for one in proposed] == ["order_id", "customer", "amount", "changed_at"]

    task = Task(
        step="extract", verb="plan", pipeline="orders", instance="berlin", interval=day(0), settings=settings
    )
    planned = plan(replace(task, settings=replace(settings, exchange=f"file://{tmp_path}/plan")))
    assert (planned.outcome, planned.counts["read"]) == ("planned", 2)
    assert haul(settings, "orders", "berlin", day(0))["load"].outcome == "loaded"
    assert haul(settings, "orders", "paris", day(0))["load"].outcome == "loaded"
    assert orders(shop) == [(1001, "Ada", "19.90"), (1002, "Grace", "5.00"), (1003, "Edsger", "7.50")]

    haul(settings, "orders", "berlin", day(1))
    assert orders(shop)[1] == (1002, "Grace", "6.00")
    assert haul(settings, "orders", "paris", day(1))["extract"].outcome == "empty"
    assert haul(settings, "orders", "berlin", day(0))["load"].outcome == "already done"


def test_its_code_is_in_the_manifest_and_changes_no_generation(shop: Place) -> None:
    settings = shop.settings
    haul(settings, "orders", "berlin", day(0))
    before = sealed(shop, "orders", "berlin")
    file = settings.definitions / "sources" / "shop.py"
    file.write_text(file.read_text() + "\n# another version\n")

    again = haul(settings, "orders", "berlin", day(0))
    assert again["extract"].outcome == "already done"
    assert again["extract"].generation == 1

    haul(settings, "orders", "paris", day(0))
    assert before.versions["source"] != sealed(shop, "orders", "paris").versions["source"]
    assert len(before.versions["source"]) == 64


@pytest.fixture
def define(here: Place) -> Callable[..., Place]:
    """A source `own.things` with this body, and what stands beside it in the definition."""

    def defined(body: str, beside: str = "", options: str = "{}") -> Place:
        folder = here.settings.definitions
        (folder / "sources" / "own.py").write_text(
            "import decimal, datetime\nfrom haulier.errors import TransientError\nfrom haulier_extract.own import File\n"
            + textwrap.dedent(body)
        )
        (folder / "contracts" / "things.odcs.yaml").write_text(CONTRACT)
        (folder / "pipelines" / "things.yaml").write_text(
            "pipeline: things\ncontract: ../contracts/things.odcs.yaml\n"
            f"source: {{custom: {{use: own.things, options: {options}}}{beside}}}\n"
        )
        return here

    return defined


def test_files_are_read_in_the_format_that_is_named_and_corrections_count(
    define: Callable[..., Place],
) -> None:
    body = """
    def things(asked):
        for name in ("b", "a"):
            data = (asked.folder / f"{name}.csv").read_bytes()
            yield File(name=name, modified_at=asked.start, open=lambda data=data: [data])
    """
    made = define(body, ", csv: {delimiter: ';'}")
    (made.landing / "a.csv").write_text("thing;price\nx;1.50\n")
    (made.landing / "b.csv").write_text("thing;price\ny;2\nz;3")

    first = haul(made.settings, "things", "main", day(0))
    assert first["extract"].notes == (
        "custom://own.things/main/b waits: its last line has no end; if the sender never ends it, write "
        "last_line: any (in source.files.ready, or in source.custom)",
    )
    (made.landing / "b.csv").write_text("thing;price\ny;2\nz;3\n")
    second = haul(made.settings, "things", "main", day(0))

    assert second["load"].generation == 2
    assert made.database.rows("SELECT thing, price::text FROM shop.things ORDER BY 1") == [
        ("x", "1.50"),
        ("y", "2.00"),
        ("z", "3.00"),
    ]


def test_a_file_whose_last_line_never_ends_is_taken_where_the_definition_says_so(
    define: Callable[..., Place],
) -> None:
    body = """
    def things(asked):
        yield File(name="a", modified_at=asked.start, open=lambda: [b"thing;price\\nx;1.50"])
    """
    made = define(body, ", csv: {delimiter: ';'}", options="{}, last_line: any")
    outcomes = haul(made.settings, "things", "main", day(0))

    assert outcomes["load"].counts["inserted"] == 1


def test_values_keep_their_digits_and_secrets_and_options_arrive(define: Callable[..., Place]) -> None:
    body = """
    def things(asked):
        assert asked.secret("SHOP") == "s3cret" and "s3cret" not in repr(asked)
        yield {"thing": asked.options["who"], "price": decimal.Decimal("0.10")}
        yield {"thing": str(asked.start.date()), "price": None}
    """
    made = define(body, options='{who: "{instance} of {pipeline}"}')
    settings = made.settings.from_env({**made.environment, "HAULIER_SECRET_SHOP": "s3cret"})

    haul(settings, "things", "main", day(0))

    assert made.database.rows("SELECT thing, price::text FROM shop.things ORDER BY 1") == [
        ("2026-01-05", None),
        ("main of things", "0.10"),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("def things(): yield {}", DefinitionError, r"own\.py, line 4\) is things\(\); .*def things\(asked\)"),
        ("def things(a, b): yield {}", DefinitionError, r"is things\(a, b\); it is called with one argument"),
        ("def things(asked): return None", DefinitionError, r"line 4\) returns NoneType"),
        ("def things(asked): return {'a': 1}", DefinitionError, "returns dict"),
        ("async def things(asked): yield {}", DefinitionError, "returns async_generator"),
        ("def things(asked): yield 7", DefinitionError, "yields int; it is rows"),
        ("def things(asked): yield {'a': float('nan')}", DefinitionError, "NaN or an infinity"),
        ("def things(asked): yield {'a': object()}", DefinitionError, "object has no form in JSON"),
        ("def things(asked):\n    yield {'a': 1}\n    yield File(name='x', modified_at=asked.start, open=list)",
         DefinitionError, "yields rows and files"),
        ("def things(asked):\n    yield File(name='x', modified_at=datetime.datetime(2026, 1, 5), open=list)",
         DefinitionError, "a time with its zone"),
        ("def things(asked):\n    for n in 1, 2: yield File(name='x', modified_at=asked.start, open=lambda: [b'{}\\n'])",
         DefinitionError, "two files are called 'x'"),
        ("def things(asked):\n    secret = 'cell'\n    yield {}[secret]", DefinitionError, r"own\.py, line 6\) raised KeyError$"),
        ("def things(asked):\n    raise TransientError('closed on Sundays')", TransientError, "^closed on Sundays$"),
        ("def things(asked):\n    raise ConnectionResetError('by peer')", TransientError, r"line 5\) could not reach"),
        ("def things(asked): yield {'a': asked.secret('NONE')}", DefinitionError, "HAULIER_SECRET_NONE is not set"),
        ("def other(asked): yield {}", DefinitionError, "source.custom.use: 'own.things': own has no function things"),
        ("def things(asked)", DefinitionError, "line 4 raised SyntaxError"),
    ],
)  # fmt: skip
def test_what_such_a_source_does_wrong_is_said_with_its_place(
    define: Callable[..., Place], body: str, kind: type[HaulierError], says: str
) -> None:
    made = define(body)

    with pytest.raises(kind, match=says) as raised:
        haul(made.settings, "things", "main", day(0))

    assert "cell" not in str(raised.value)


def test_rows_beside_a_format_of_files_and_two_sources_are_refused(define: Callable[..., Place]) -> None:
    made = define("def things(asked): yield {'thing': 'a'}", ", csv: {delimiter: ';'}")
    with pytest.raises(DefinitionError, match=r"remove source\.csv"):
        haul(made.settings, "things", "main", day(0))

    made = define("def things(asked): yield {}", ", files: {path: '*'}")
    with pytest.raises(DefinitionError, match=r"source\.custom stands beside source\.files"):
        haul(made.settings, "things", "main", day(0))


def test_check_asks_for_the_first_row_and_no_more(define: Callable[..., Place]) -> None:
    made = define("def things(asked):\n    yield {}\n    raise ValueError")
    assert check("things", None, made.settings) == []

    made = define("def things(asked):\n    raise ConnectionRefusedError")
    ((label, said),) = check("things", None, made.settings)
    assert label == "things/main"
    assert isinstance(said, Told)
    assert said.exit_code == 75
