"""The sums that usage is counted from, and the pages of a fax beside its metadata."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BY_VALUE = "ix_fax_metadata_account_key_value_queued_at_job"
_BY_KEY = "ix_fax_metadata_account_key_queued_at"
_COUNTS = ("faxes", "delivered", "failed", "pages")
_SUM = """
INSERT INTO usage_sums (account, minutes, number, faxes, delivered, failed, pages)
SELECT account, minutes, queued_at / (minutes * 60000), count(*),
  sum(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END),
  sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), coalesce(sum(transferred), 0)
FROM faxes CROSS JOIN (SELECT 15 AS minutes UNION ALL SELECT 1440) AS spans
WHERE state <> 'rejected' GROUP BY 1, 2, 3
"""
_FILL = """
UPDATE fax_metadata SET transferred = (
  SELECT transferred FROM faxes AS f
  WHERE f.account = fax_metadata.account AND f.job = fax_metadata.job AND f.reuse = fax_metadata.reuse)
"""


def upgrade() -> None:
    """Make the table and the column, and fill them for the faxes that are there."""
    op.create_table(
        "usage_sums",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("minutes", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        sa.PrimaryKeyConstraint("account", "minutes", "number"),
    )
    op.execute(_SUM)
    op.add_column("fax_metadata", sa.Column("transferred", sa.Integer()))
    op.execute(_FILL)
    op.drop_index(_BY_VALUE, "fax_metadata")
    columns = ["account", "key", "value", "queued_at", "job"]
    op.create_index(_BY_VALUE, "fax_metadata", columns, postgresql_include=["state", "transferred"])
    columns = ["account", "key", "queued_at"]
    op.create_index(_BY_KEY, "fax_metadata", columns, postgresql_include=["value", "state", "transferred"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index(_BY_KEY, "fax_metadata")
    op.drop_index(_BY_VALUE, "fax_metadata")
    op.create_index(_BY_VALUE, "fax_metadata", ["account", "key", "value", "queued_at", "job"])
    op.drop_column("fax_metadata", "transferred")
    op.drop_table("usage_sums")
