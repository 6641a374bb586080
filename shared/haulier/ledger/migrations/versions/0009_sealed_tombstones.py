"""Deletions in the chain."""

from haulier.ledger.migrate import refuse, run

revision = "0009"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
