"""Attempts that failed."""

from haulier.ledger.migrate import refuse, run

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
