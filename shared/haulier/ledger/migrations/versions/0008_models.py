"""SQL models that run after the load."""

from haulier.ledger.migrate import refuse, run

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
