"""The text of PostgreSQL's arrays, taken apart.

psycopg2 does it for values of a cursor; called without one, on Python 3.13, it ends the process.
"""

from __future__ import annotations

import re
from typing import Any

#: The one type of PostgreSQL's own whose arrays are not divided by commas.
_BOX = 603
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_BY_COMMA = re.compile(rf"[{{}},]|{_QUOTED}|[^{{}},]+", re.DOTALL)
_BY_SEMICOLON = re.compile(rf"[{{}};]|{_QUOTED}|[^{{}};]+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def elements_of(text: str, element: int) -> list[Any]:
    """The elements as text, ``None`` for NULL, lists of lists where there are more dimensions.

    ``text`` is what `array_out` writes, with bounds before it or without; ``element`` is the number in
    pg_type of what it is made of. The rules: PostgreSQL's documentation, 8.15.6.
    """
    delimiter, tokens = (";", _BY_SEMICOLON) if element == _BOX else (",", _BY_COMMA)
    open_ones: list[list[Any]] = [[]]
    for token in tokens.finditer(text, text.index("{")):
        found = token[0]
        if found == "{":
            open_ones[-1].append([])
            open_ones.append(open_ones[-1][-1])
        elif found == "}":
            open_ones.pop()
        elif token[1] is not None:
            open_ones[-1].append(_ESCAPED.sub(r"\1", token[1]))
        elif found != delimiter:
            open_ones[-1].append(None if found == "NULL" else found)
    (elements,) = open_ones[0]
    assert isinstance(elements, list)
    return elements
