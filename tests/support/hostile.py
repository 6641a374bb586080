"""What tests send to break a load, in cells and in files."""

from __future__ import annotations

import json

UP = "../../../../etc/passwd"
HEAD = b"thing,price\n"
LONG = b"x" * (1 << 20)


def as_jsonl(rows: list[dict[str, str]], names: list[str]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)
