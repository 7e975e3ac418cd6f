"""The orders to forget that wait for events from before them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column, without a default: an archive that does not know of it is refused."""
    with op.batch_alter_table("accounts") as table:
        table.add_column(sa.Column("ordered", sa.BigInteger(), nullable=False, server_default="-1"))
    with op.batch_alter_table("accounts") as table:
        table.alter_column("ordered", server_default=None)


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("accounts") as table:
        table.drop_column("ordered")
