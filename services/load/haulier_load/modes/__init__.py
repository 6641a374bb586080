"""How rows land, by `load.mode`: a module each."""

from __future__ import annotations

from haulier.landing.merge import Merge
from haulier.landing.upsert import Upsert
from haulier_load.modes.append import Append
from haulier_load.modes.replace import Replace
from haulier_load.modes.scd2 import Scd2

MODES: dict[str, type[Merge]] = {"append": Append, "upsert": Upsert, "replace": Replace, "scd2": Scd2}
