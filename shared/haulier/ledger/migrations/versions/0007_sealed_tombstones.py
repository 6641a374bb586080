"""Deletions in the chain."""

from haulier.ledger.migrate import refuse, run

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
