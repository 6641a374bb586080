"""Files that were refused for what they hold."""

from haulier.ledger.migrate import refuse, run

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
