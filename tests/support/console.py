"""Runs what a README shows: its ```console blocks in one shell, and looks for its ```text blocks in what they say."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Where a person's own servers and settings are: no business of a README.
_FOREIGN = ("PG", "AWS", "HAULIER")
#: Begins what a block says; no program prints it by chance.
_MARK = "\x1eblock"
_FENCE = re.compile(r"^```(console|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """Commands as a README shows them, and the lines it says they print; a ``…`` in one stands for anything."""

    commands: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the shell ended with, and what each block printed; blocks it did not come to are missing."""

    code: int
    blocks: tuple[str, ...]

    @property
    def all(self) -> str:
        return "".join(self.blocks)


def blocks(text: str) -> list[Block]:
    """The console blocks of a page, each with what the text blocks behind it show."""
    found: list[Block] = []
    for kind, body in _FENCE.findall(text):
        if kind == "console":
            found.append(Block(commands=body))
        elif found:
            lines = tuple(line for line in body.splitlines() if line.strip())
            found[-1] = Block(commands=found[-1].commands, shown=(*found[-1].shown, *lines))
    return found


@contextmanager
def private(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who has `haulier`, works in this folder and has set nothing yet.

    Afterwards the servers that were started here are stopped and their data is gone, whatever happened.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment = kept | {
        "PATH": f"{Path(sys.prefix) / 'bin'}:{kept['PATH']}",
        "HAULIER_HOME": str(folder / ".haulier"),
        "VIRTUAL_ENV_DISABLE_PROMPT": "1",
    }
    try:
        yield environment
    finally:
        subprocess.run(["haulier", "down"], cwd=folder, env=environment, check=True, capture_output=True)


def run(shown: Sequence[Block], folder: Path, environment: dict[str, str]) -> Said:
    """Every block in one bash, which stops at the first command that fails; what it left running is ended."""
    script = ["set -e -o pipefail"]
    for block in shown:
        script += [f"printf '%s\\n' '{_MARK}'", block.commands]
    log = folder.parent / f"{folder.name}.said"
    # A file: a pipe would stay open as long as anything that a block started in the background.
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", "\n".join(script)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    said = log.read_text(encoding="utf-8", errors="replace").split(f"{_MARK}\n")
    return Said(code=code, blocks=tuple(said[1:]))


def missing(block: Block, said: str) -> list[str]:
    """Lines that a block shows and did not print, columns compared with their white space squeezed."""
    printed = [_squeezed(line) for line in said.splitlines()]
    return [line for line in block.shown if not any(_pattern(line).fullmatch(one) for one in printed)]


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(piece) for piece in _squeezed(line).split("…")))


def _squeezed(line: str) -> str:
    return " ".join(line.split())
