"""A step as a process beside Airflow's own, for machines without an engine and for tests."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import Context

from haulier_airflow.codes import ByExitCode
from haulier_airflow.orders import StepOf, StepTask, task_key
from haulier_command.containers import STOP_SECONDS


class ProcessStep(StepTask):
    """One step of one instance; its environment is Airflow's own with the steps' laid over it."""

    def __init__(
        self,
        *,
        of: StepOf,
        shard: Mapping[str, Any] | None = None,
        environment: dict[str, str],
        **options: Any,
    ) -> None:
        super().__init__(**{"retry_policy": ByExitCode(), **options})
        self.of, self.shard = of, shard
        self.environment = environment
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> Any:
        run = hashlib.sha256(task_key(context).rpartition("/")[0].rpartition("/")[0].encode()).hexdigest()[
            :16
        ]
        order = self.order(context, into=f"{tempfile.gettempdir()}/haulier-plan-{run}")
        self.log.info("by hand: %s", order)
        with tempfile.TemporaryDirectory(prefix="haulier-") as folder:
            file = Path(folder) / "result.json"
            environ = {**os.environ, **self.environment, "HAULIER_RESULT_FILE": str(file)}
            with subprocess.Popen(
                order.command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ) as self._process:
                assert self._process.stderr is not None
                for line in self._process.stderr:
                    self.tell(line.rstrip("\n"))
            code = self._process.returncode
            result = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        try:
            return self.answered(context, order, code, result)
        except BaseException:
            if order.into:
                shutil.rmtree(order.into, ignore_errors=True)
            raise

    def on_kill(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
