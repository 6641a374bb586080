"""What the pilot trial must come to, and the command that prints it: ``python -m support.pilot``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from support import servers
from support.clinical import DATA, PRODUCT, haul_pilot, make_definitions, settings_of
from support.databases import Database, fresh_database

from haulier.settings import Settings
from haulier_clinical.commands.score import answers_of, read_key
from haulier_clinical.scoring import Answer, shown

_TESTS = PRODUCT / "references/tests.csv"
_LB_KEY = ["USUBJID", "LBTESTCD", "VISITNUM", "LBDTC"]
_LB = ["LBSTRESN~0.001 where LBSTRESN!=", "LBSTRESC where LBSTRESN=", "LBNRIND where LBORNRLO!=", "LBDY"]
_VS_KEY = ["USUBJID", "VSTESTCD", "VSDTC", "VSPOS", "VSTPT", "VISITNUM"]
#: The key's pound is 0.4536 kg, and the definition's 0.45359237: 141 weights differ by 0.01 kg.
_VS = ["VSORRES", "VSSTRESN~0.001 where VSORRESU!=cm", "VSDY"]


def labs(settings: Settings) -> list[Answer]:
    return answers_of(settings, DATA / "pilot_sdtm_lb.csv.gz", "sdtm.lb", _LB_KEY, _LB, tests=_TESTS)


def vitals(settings: Settings) -> list[Answer]:
    """Without the three rows that say NOT DONE: the raw file has no cell for them."""
    key = DATA / "pilot_sdtm_vs.csv.gz"
    return answers_of(settings, key, "sdtm.vs", _VS_KEY, _VS, where="VSSTAT=", tests=_TESTS)


def metric(database: Database) -> Answer:
    """The cells in centimetres among inches are there as sent, flagged, and in no standard column; no others are."""
    key = read_key(DATA / "pilot_sdtm_vs.csv.gz")
    wanted = {(row["USUBJID"], row["VSTESTCD"], row["VSORRES"]) for row in key if row["VSORRESU"] == "cm"}
    held = set(
        database.rows(
            "SELECT v.usubjid, v.vstestcd, v.vsorres FROM clinical.vs v JOIN haulier.flag f"
            " ON (f.delivery_id, f.row_number) = (v._haulier_delivery, v._haulier_row) AND f.rule = 'implausible'"
            " WHERE v.vsstresc IS NULL AND v.vsstresn IS NULL AND v.vsstresu IS NULL AND v.vsstat IS NULL"
        )
    )
    wrong = [" ".join(row) for row in sorted(held ^ wanted)]
    return Answer(
        question="metric cells flagged as implausible, not converted",
        rows=len(wanted),
        matched=len(held & wanted),
        differing=len(wrong),
        examples=tuple(wrong[:5]),
    )


def main() -> int:
    if not DATA.is_dir():
        sys.stderr.write(
            f"{DATA}: the trial's files are not there; say where they are: make pilot CLINICAL_DATA=...\n"
        )
        return 2
    home = servers.make_home()
    try:
        tier = servers.up(home, {"fsync": "off", "full_page_writes": "off"})
        with tempfile.TemporaryDirectory() as folder, fresh_database(tier) as database:
            root = Path(folder)
            make_definitions("pilot", root / "definitions")
            settings = settings_of(database, tier, root)
            haul_pilot(settings, root)
            answers = {"Labs": labs(settings), "Vital signs": [*vitals(settings), metric(database)]}
    finally:
        servers.remove_home(home)
    for title, found in answers.items():
        sys.stdout.write(f"{title}\n{shown(found)}\n\n")
    return int(any(one.differing for found in answers.values() for one in found))


if __name__ == "__main__":
    sys.exit(main())
