"""A clinical trial on Haulier: vital signs and labs as SDTM, exported and judged.

Definitions name `lb` and `vs` as ``haulier_clinical.lb`` and ``haulier_clinical.vs``; they are in
`haulier_clinical.functions`, which is imported when one of them is asked for: the judges run without it.
"""

from __future__ import annotations

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in ("lb", "vs"):
        from haulier_clinical import functions

        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
