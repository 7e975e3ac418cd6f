"""Indexes by which a fax is found by its jobId, and those that were delivered in part."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the indexes. Without the second, all delivered faxes are gone through for those in part."""
    op.create_index("ix_faxes_account_job_id", "faxes", ["account", "job_id"], unique=False)
    op.create_index(
        "ix_faxes_partial",
        "faxes",
        ["account", "state", "queued_at", "job"],
        unique=False,
        postgresql_where=sa.text("partial IS true"),
        sqlite_where=sa.text("partial IS 1"),
    )


def downgrade() -> None:
    """Drop the indexes."""
    op.drop_index("ix_faxes_partial", "faxes")
    op.drop_index("ix_faxes_account_job_id", "faxes")
