"""An index of the orders to resend, which the audit has under the id of the new fax."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the index: the entries are read once, seconds for each million."""
    those = sa.text("kind = 'resend'")
    op.create_index(
        "ix_entries_resends",
        "entries",
        ["account", "leaf"],
        unique=False,
        if_not_exists=True,
        postgresql_where=those,
        sqlite_where=those,
    )


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_entries_resends", "entries")
