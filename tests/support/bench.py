"""An exchange in a folder, what extract has sealed there, and transform at work on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from support.transforming import INTERVAL, column, contract, definition, extracted

from haulier.contracts import Contract
from haulier.exchange.folder import FolderExchange
from haulier.keys import RunKeys
from haulier.manifest import Manifest, Part
from haulier.parts import row_groups
from haulier.sealing import read_manifest
from haulier.settings import Settings
from haulier.task import Task
from haulier_transform.step import transform

LABS = contract(
    column("subject", pattern="S[0-9]", key_position=1),
    column("result", "numeric(6,2)", soft_maximum="50"),
    column("comment"),
)
FILES = {
    "labs_1.csv": "subject,result,comment\nS1,1,a\nbad,x,b\nS2,70,\n",
    "labs_2.csv": "RESULT,SUBJECT,DEVICE\n1.234,S1,d\n2,S2,d\n",
}


class Bench:
    """An exchange in a folder and the tasks that work in it."""

    def __init__(self, folder: Path) -> None:
        self.exchange = FolderExchange(folder / "exchange")
        self.settings = Settings(exchange=f"file://{folder / 'exchange'}", definitions=folder)
        self.definition = definition()

    def task(self, content: str = "g1", **changes: Any) -> Task:
        asked: dict[str, Any] = (
            {"generation": int(content[1:])} if content[0] == "g" else {"replay": int(content[1:])}
        )
        made = Task(
            step="transform",
            verb="run",
            pipeline="labs",
            instance="701",
            interval=INTERVAL,
            settings=self.settings,
            **asked,
        )
        return replace(made, **changes)

    def keys(self, content: str = "g1") -> RunKeys:
        return RunKeys(pipeline="labs", instance="701", interval=INTERVAL, content=content)

    def extract(self, files: dict[str, str] = FILES, contract: Contract = LABS, **more: Any) -> Manifest:
        return extracted(self.exchange, files, contract, self.definition, **more)

    def run(self, content: str = "g1", **changes: Any) -> Manifest:
        transform(self.task(content, **changes))
        return read_manifest(self.exchange, self.keys(content), "transform")

    def table(self, parts: Sequence[Part]) -> pa.Table:
        return pa.concat_tables(list(row_groups(self.exchange, parts)))
