"""The extract step as a program."""

import sys

from haulier.run import main
from haulier_extract.program import EXTRACT


def cli() -> int:
    return main(EXTRACT)


if __name__ == "__main__":
    sys.exit(cli())
