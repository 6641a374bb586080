"""The load step as a program."""

import sys

from haulier.run import main
from haulier_load.program import LOAD


def cli() -> int:
    return main(LOAD)


if __name__ == "__main__":
    sys.exit(cli())
