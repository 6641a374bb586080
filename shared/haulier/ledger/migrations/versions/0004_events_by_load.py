"""Reject events and tombstones by load.

A link's digest of a load's rejects and `verify` ask for those of a load; without an index each read all of them.
"""

from alembic import op

from haulier.ledger.migrate import refuse

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.get_bind().exec_driver_sql(
        "CREATE INDEX ON haulier.reject_event (load_id); CREATE INDEX ON haulier.tombstone (load_id)"
    )


downgrade = refuse
