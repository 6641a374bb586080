"""The ledger."""

from haulier.ledger.migrate import refuse, run

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
