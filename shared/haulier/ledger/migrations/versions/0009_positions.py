"""Positions of sources."""

from haulier.ledger.migrate import refuse, run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
