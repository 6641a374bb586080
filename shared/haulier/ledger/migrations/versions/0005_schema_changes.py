"""What a change of a table's schema changed."""

from haulier.ledger.migrate import refuse, run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
