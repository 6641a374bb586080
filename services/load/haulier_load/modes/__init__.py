"""How rows land, by `load.mode`: a module each, and one each for what `upsert` may mean as well: events, and files that
hold everything so far."""

from __future__ import annotations

from haulier.contracts import Contract
from haulier.definitions import Load
from haulier.landing.merge import Merge
from haulier.landing.upsert import Upsert
from haulier_load.modes.append import Append
from haulier_load.modes.cumulative import Cumulative
from haulier_load.modes.feed import Feed
from haulier_load.modes.replace import Replace
from haulier_load.modes.scd2 import Scd2

MODES: dict[str, type[Merge]] = {"append": Append, "upsert": Upsert, "replace": Replace, "scd2": Scd2}


def mode_of(load: Load, contract: Contract) -> type[Merge]:
    """How a contract's rows land as a definition says."""
    if load.mode == "upsert" and (contract.truncates or contract.keeping):
        return Feed
    if load.mode == "upsert" and load.removal_threshold is not None:
        return Cumulative
    return MODES[load.mode]
