"""A README that shows what does not happen is found out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.console import Block, blocks, missing, run

PAGE = """
First:

```console
name=Ada
printf 'a   | b\\n1   | x\\n'
```

It prints this, and more:

```text
a | b
1 | …
```

```yaml
not: a command
```

```console
echo "$name"
```
"""


def test_a_page_is_its_commands_with_what_they_print():
    first, second = blocks(PAGE)

    assert first.shown == ("a | b", "1 | …")
    assert second == Block(commands='echo "$name"\n')


def test_blocks_share_one_shell_and_each_has_its_own_words(tmp_path):
    said = run(blocks(PAGE), _folder(tmp_path), dict(os.environ))

    assert (said.code, said.blocks) == (0, ("a   | b\n1   | x\n", "Ada\n"))


def test_the_first_command_that_fails_ends_it(tmp_path):
    page = [Block(commands="false | cat"), Block(commands="echo never")]

    said = run(page, _folder(tmp_path), dict(os.environ))

    assert (said.code, said.blocks) == (1, ("",))


def test_what_a_block_leaves_running_does_not_outlive_the_page(tmp_path):
    said = run([Block(commands="sleep 600 & echo $!")], _folder(tmp_path), dict(os.environ))

    assert said.code == 0
    process = Path(f"/proc/{said.blocks[0].strip()}")
    deadline = time.monotonic() + 20
    while process.exists() and "(zombie)" not in (process / "status").read_text():
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("shown", "printed", "lacks"),
    [
        ("a | b", "a   |    b\n", False),
        ("load …", "load 7\n", False),
        ("total … rows", "total 3 rows\n", False),
        ("a", "ab\n", True),
        ("a.c", "abc\n", True),
    ],
)
def test_a_line_is_found_whatever_its_spaces_but_never_in_part(shown, printed, lacks):
    assert missing(Block(commands="", shown=(shown,)), printed) == ([shown] if lacks else [])


def _folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    return folder
