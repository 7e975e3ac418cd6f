"""The sums that usage by a member of the metadata is counted from."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_OBJECT = {
    "postgresql": "json_object_agg(value, json_build_array({}))",
    "sqlite": "json_group_object(value, json_array({}))",
}
_SUM = """
INSERT INTO member_sums (account, key, number, sums)
SELECT account, key, number, CASE WHEN count(*) <= 250 THEN CAST({} AS text) END
FROM (
  SELECT account, key, queued_at / 86400000 AS number, value, count(*) AS faxes,
    sum(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END) AS delivered,
    sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed, coalesce(sum(transferred), 0) AS pages
  FROM fax_metadata WHERE state <> 'rejected' GROUP BY 1, 2, 3, 4
) AS of_values GROUP BY 1, 2, 3
"""


def fill(connection: sa.Connection) -> None:
    """Count the faxes that are there: seconds for each million."""
    counts = _OBJECT[connection.dialect.name].format("faxes, delivered, failed, pages")
    connection.exec_driver_sql(_SUM.format(counts))


def upgrade() -> None:
    """Make the table, and fill it anew where the schema was set back to be mended."""
    op.create_table(
        "member_sums",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sums", sa.Text()),
        sa.PrimaryKeyConstraint("account", "key", "number"),
        if_not_exists=True,
    )
    op.execute("DELETE FROM member_sums")
    fill(op.get_bind())


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("member_sums")
