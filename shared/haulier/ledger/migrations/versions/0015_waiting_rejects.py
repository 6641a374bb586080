"""Rejects that still wait for somebody."""

from haulier.ledger.migrate import refuse, run

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
