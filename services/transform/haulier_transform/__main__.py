"""The transform step as a program."""

import sys

from haulier.run import main
from haulier_transform.program import TRANSFORM


def cli() -> int:
    return main(TRANSFORM)


if __name__ == "__main__":
    sys.exit(cli())
