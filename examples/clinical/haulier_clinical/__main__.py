"""``python -m haulier_clinical``: one verb, its options, one answer, one exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

#: Verb -> what it is for. Each is a module of `haulier_clinical.commands` with `add_arguments` and `run`; only the one
#: that is called is imported, because the judges run where the rest of Haulier is not installed.
VERBS: Mapping[str, str] = {
    "export": "write the SDTM domains as Dataset-JSON, CSV and Parquet",
    "score": "compare a table with an answer key",
    "review": "make the page that data managers look at every day",
    "judge": "let independent judges look at what was exported",
}


def main(argv: Sequence[str]) -> int:
    """Do what the arguments ask; return the process exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m haulier_clinical", description="SDTM from the tables of a trial.", allow_abbrev=False
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    called = next((word for word in argv if not word.startswith("-")), None)
    for name, summary in VERBS.items():
        added = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == called:
            import_module(f"haulier_clinical.commands.{name}").add_arguments(added)
    asked = parser.parse_args(argv)
    asked.argv = argv
    code: int = import_module(f"haulier_clinical.commands.{asked.verb}").run(asked)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
