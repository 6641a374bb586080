"""SQL kept in ``.sql`` files, found by name.

A file holds statements, each headed by ``-- name: its_name`` and a comment of one sentence.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEAD = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(package: str, file: str) -> dict[str, str]:
    """name -> statement of one ``.sql`` file beside a package's modules."""
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    pieces = _HEAD.split(text)[1:]
    return dict(zip(pieces[::2], (body.strip() for body in pieces[1::2]), strict=True))
