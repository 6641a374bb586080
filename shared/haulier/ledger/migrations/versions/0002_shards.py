"""Runs in shards."""

from haulier.ledger.migrate import refuse, run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
