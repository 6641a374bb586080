"""Rejects and flags are queries."""

from haulier.ledger.migrate import refuse, run

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
