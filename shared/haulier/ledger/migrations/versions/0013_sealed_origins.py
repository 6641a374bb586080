"""When, by whom, why and from which files: sealed with the load that it is of."""

from haulier.ledger.migrate import refuse, run

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run(__file__)


downgrade = refuse
