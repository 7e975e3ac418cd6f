"""Where entries are missing."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_FILL = """
INSERT INTO gaps (account, stream, leaf, since)
SELECT p.account, p.stream, a.size, NULL FROM positions AS p JOIN accounts AS a ON a.account = p.account
WHERE p.missing > 0
"""


def upgrade() -> None:
    """Make the table. Of what is missing already nobody knows where it was."""
    op.create_table(
        "gaps",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("stream", sa.String(length=6), nullable=False),
        sa.Column("leaf", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("account", "stream", "leaf"),
    )
    op.execute(_FILL)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("gaps")
