"""Rows that get values of an older event."""

from haulier.ledger.migrate import refuse, run

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
