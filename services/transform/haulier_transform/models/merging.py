"""A model that merges: its rows judged against the contract, then merged by key as load merges, newest version first."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from psycopg2 import sql
from psycopg2.extras import execute_values

import haulier
from haulier.contracts import Contract
from haulier.digests import definition_digest, digest_of
from haulier.errors import DataError, DefinitionError
from haulier.exchange import Exchange
from haulier.landing.catalogue import live_columns
from haulier.landing.closing import close_superseded, settle
from haulier.landing.drift import unfit
from haulier.landing.merge import Content, Merge, Rejected
from haulier.landing.names import STAGE
from haulier.landing.rejects import insert_rejects, own_rejects
from haulier.landing.upsert import Upsert
from haulier.landing.writing import write
from haulier.ledger.connection import Cursor
from haulier.ledger.queries import queries
from haulier.manifest import Manifest, SourceAccount, recorded_versions
from haulier.problems import suggestion
from haulier.rows import DELIVERY, OUTPUT, ROW
from haulier_transform.models.parsing import ReadModel
from haulier_transform.models.rules import broken, implausible
from haulier_transform.models.selecting import execute, select
from haulier_transform.models.typing import reading

_SQL = queries("haulier_transform.models", "models.sql")
_LEDGER = queries("haulier.landing", "load.sql")

#: Columns a model may give beside its contract's: why a row may not enter, and what to look at in one that does.
REJECT, FLAG = "_haulier_reject", "_haulier_flag"
_OWN = {DELIVERY: "bigint", ROW: "bigint", OUTPUT: "integer", REJECT: "text", FLAG: "text"}


@dataclass(kw_only=True)
class Merging:
    """One merge model over the raw rows of one run."""

    cursor: Cursor
    exchange: Exchange
    manifest: Manifest
    read: ReadModel
    #: The raw rows of this run, which stand for the raw table.
    raw: sql.Composable
    merge: Merge = field(init=False)
    accounts: list[SourceAccount] = field(default_factory=list)
    #: Rows that enter with something to look at, shaped as rejects are.
    flags: list[Rejected] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def contract(self) -> Contract:
        contract = self.read.model.contract
        assert contract is not None
        return contract

    @property
    def is_over_threshold(self) -> bool:
        account = self.merge.account
        if self.manifest.replay_id is not None:
            return False
        return account.rejected > self.manifest.definition.load.reject_threshold * account.produced

    def judge(self, stand_in: sql.Composable | None = None) -> None:
        """Decide what becomes of every row. Raises `DefinitionError` for a model that does not fit its contract,
        `DataError` for SQL that a value makes fail."""
        given = self._select()
        produced = self._count("count_result")
        self._account()
        rejected = [*self._unreadable(given), *self._breaking(), *self._refused()]
        self.flags = list(self._flagged())
        manifest = self.manifest
        self.merge = Upsert(
            cursor=self.cursor,
            contract=self.contract,
            content=Content.of(manifest),
            stage=STAGE,
            stand_in=stand_in,
            unfit=unfit(
                self.contract, live_columns(self.cursor, self.contract), manifest.definition.load.drift
            ),
            rejected=rejected,
        )
        self.merge.account.produced = produced
        self.merge.account.rejected = len(rejected)
        self.cursor.execute(
            _LEDGER["loaded_by_another_run"],
            {
                "target": self.contract.target,
                "run_id": manifest.run_id,
                "deliveries": [d.delivery_id for d in manifest.deliveries],
            },
        )
        self.merge.judge(leave_out=[delivery_id for (delivery_id,) in self.cursor.fetchall()])

    def record(self, values: dict[str, Any]) -> int:
        """Write what was judged and its ledger rows; return the load's number."""
        is_quarantined = values["outcome"] == "quarantined"
        if is_quarantined:
            self.merge.quarantine()
        account, manifest, cursor = self.merge.account, self.manifest, self.cursor
        account.close()
        cursor.execute(_LEDGER["next_load"])
        (load_id,) = cursor.fetchone() or (0,)
        values = {
            **values,
            "target": self.contract.target,
            "load_id": load_id,
            "kind": "model",
            "input_digest": digest_of("model", manifest.input_digest, self.read.model),
            "definition_digest": definition_digest(manifest.definition, manifest.contract),
            "exit_code": DataError.exit_code if is_quarantined else 0,
            "mode": "upsert",
            "versions": json.dumps(
                recorded_versions(manifest, {"haulier": haulier.__version__, "sqlglot": version("sqlglot")})
            ),
            "started_at": self.started_at,
            "owner": manifest.definition.owner,
            "deliveries": [d.delivery_id for d in manifest.deliveries],
            **asdict(account),
        }
        cursor.execute(_LEDGER["insert_load"], values)
        if manifest.replay_id is None:
            for source in self.accounts:
                fields = {name: getattr(source, name) for name in source.__struct_fields__}
                cursor.execute(_LEDGER["insert_account"], {"load_id": load_id, **fields})
        if not is_quarantined:
            write(cursor, self.contract, self.merge, load_id, values["actor"])
        self._record_rejects(load_id, values, is_quarantined)
        cursor.execute(_LEDGER["insert_link"], values)
        return int(load_id)

    def _record_rejects(self, load_id: int, values: Mapping[str, Any], is_quarantined: bool) -> None:
        if self.manifest.replay_id is None:
            close_superseded(self.cursor, values)
        kept = own_rejects(self.cursor, self.exchange, self.manifest, self.merge.rejected, step="models")
        insert_rejects(self.cursor, load_id, kept)
        if self.flags and not is_quarantined:
            rows = [(load_id, *flag) for flag in self.flags]
            execute_values(self.cursor, _SQL["insert_flags"], rows, page_size=200)
        if self.manifest.replay_id is None:
            settle(self.cursor, values)

    def _select(self) -> dict[str, str]:
        """Run the SQL; name -> type of what it gives."""
        cursor, shown = self.cursor, f"models/{self.read.model.name}.sql"
        given = select(cursor, self.read, {self.manifest.contract.target: self.raw})
        wanted = [column.name for column in self.contract.columns]
        if missing := [name for name in (*wanted, DELIVERY, ROW) if name not in given]:
            places = f"; {DELIVERY} and {ROW} say which source row a row is made of"
            hint = places if {DELIVERY, ROW}.intersection(missing) else ""
            raise DefinitionError(f"{shown}: gives no column {', '.join(missing)}{hint}")
        for name, pg_type in given.items():
            if name in _OWN and pg_type != _OWN[name]:
                raise DefinitionError(f"{shown}: {name} is {pg_type} and must be {_OWN[name]}")
            if name not in (*wanted, *_OWN):
                hint = suggestion(name, wanted)
                raise DefinitionError(
                    f"{shown}: gives a column {name}, which its contract does not have{hint}"
                )
        if OUTPUT not in given:
            cursor.execute(_SQL["add_output"])
            columns = sql.SQL(", ").join(sql.Identifier(name) for name in wanted)
            execute(cursor, self.read, sql.SQL(_SQL["number_outputs"]).format(columns=columns))
        if self._count("twins"):
            raise DefinitionError(
                f"{shown}: gives one {OUTPUT} to several rows of a source row; number them, or leave it out"
            )
        if astray := self._count("astray", raw=self.raw):
            raise DefinitionError(
                f"{shown}: {astray} rows name a source row ({DELIVERY}, {ROW}) that this run did not bring"
            )
        return given

    def _account(self) -> None:
        deliveries = [d.delivery_id for d in self.manifest.deliveries]
        self.cursor.execute(sql.SQL(_SQL["account"]).format(raw=self.raw), {"deliveries": deliveries})
        self.accounts = [
            SourceAccount(
                delivery_id=delivery_id,
                read=read,
                accepted=used,
                filtered=read - used,
                rejected=0,
                stripped=0,
            )
            for delivery_id, read, used in self.cursor.fetchall()
        ]

    def _unreadable(self, given: Mapping[str, str]) -> list[Rejected]:
        """Stage the rows in the contract's types; return those that have other values."""
        rejected: list[Rejected] = []
        readings = [reading(column, given[column.name], self.read.model) for column in self.contract.columns]
        for one in readings:
            if one.readable is None:
                continue
            name = one.column.name
            statement = sql.SQL(_SQL["not_readable"]).format(
                column=sql.Identifier(name), readable=one.readable
            )
            self.cursor.execute(statement)
            rejected += self._rejected("type", name, f"is not {one.wanted}", one.column.how_to_fix)
        definitions = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(c.pg_type)) for c in self.contract.columns
        )
        self.cursor.execute(sql.SQL(_SQL["stage"]).format(definitions=definitions))
        statement = sql.SQL(_SQL["fill_stage"]).format(
            columns=sql.SQL(", ").join(sql.Identifier(one.column.name) for one in readings),
            values=sql.SQL(", ").join(one.value for one in readings),
            reject=sql.Identifier("s", REJECT) if REJECT in given else sql.SQL("NULL"),
            flag=sql.Identifier("s", FLAG) if FLAG in given else sql.SQL("NULL"),
        )
        deliveries = self.manifest.deliveries
        sequences = {
            "deliveries": [d.delivery_id for d in deliveries],
            "sequences": [d.sequence for d in deliveries],
        }
        self.cursor.execute(statement, sequences)
        return rejected

    def _breaking(self) -> list[Rejected]:
        rejected: list[Rejected] = []
        for column, rule, says, breaks in broken(self.contract):
            execute(self.cursor, self.read, sql.SQL(_SQL["breaking"]).format(breaks=breaks))
            rejected += self._rejected(rule, column.name, says, column.how_to_fix)
        return rejected

    def _refused(self) -> list[Rejected]:
        self.cursor.execute(_SQL["refused"])
        return [
            (delivery, row, output, "model", None, message)
            for delivery, row, output, message in sorted(self.cursor.fetchall(), key=str)
        ]

    def _flagged(self) -> Iterator[Rejected]:
        self.cursor.execute(_SQL["flagged"])
        for delivery, row, output, message in self.cursor.fetchall():
            yield delivery, row, output, "model", None, message
        for column, says, is_odd in implausible(self.contract):
            self.cursor.execute(sql.SQL(_SQL["odd"]).format(is_odd=is_odd))
            for delivery, row, output in self.cursor.fetchall():
                yield delivery, row, output, "implausible", column.name, f"{column.name} {says}"

    def _rejected(self, rule: str, column: str, says: str, to_fix: str) -> list[Rejected]:
        """The rows the last statement returned, with the reason."""
        message = f"{column} {says}" + (f". {to_fix}" if to_fix else "")
        return [(*row, rule, column, message) for row in sorted(self.cursor.fetchall(), key=str)]

    def _count(self, name: str, **parts: sql.Composable) -> int:
        self.cursor.execute(sql.SQL(_SQL[name]).format(**parts))
        (count,) = self.cursor.fetchone() or (0,)
        return int(count)
