"""Archived partitions."""

from haulier.ledger.migrate import refuse, run

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
