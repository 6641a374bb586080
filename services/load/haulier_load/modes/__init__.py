"""How rows land, by `load.mode`: a module each, and one for events, which `upsert` may mean as well."""

from __future__ import annotations

from haulier.contracts import Contract
from haulier.landing.merge import Merge
from haulier.landing.upsert import Upsert
from haulier_load.modes.append import Append
from haulier_load.modes.feed import Feed
from haulier_load.modes.replace import Replace
from haulier_load.modes.scd2 import Scd2

MODES: dict[str, type[Merge]] = {"append": Append, "upsert": Upsert, "replace": Replace, "scd2": Scd2}


def mode_of(name: str, contract: Contract) -> type[Merge]:
    """How a contract's rows land in a mode."""
    is_feed = name == "upsert" and (contract.truncates or contract.keeping)
    return Feed if is_feed else MODES[name]
