"""The terms of a fax, and their index on PostgreSQL."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0003"
down_revision = "0002"

_TERM = """
CREATE OR REPLACE FUNCTION pg_temp.term(account text, what text, value text, key text DEFAULT '')
RETURNS bigint LANGUAGE sql IMMUTABLE RETURN (('x' || encode(substring(sha256(convert_to(
  account || E'\\n' || what || E'\\n' || key || E'\\n' || value, 'UTF8'
)) FROM 1 FOR 8), 'hex'))::bit(64)::bigint)
"""
_FILL = """
UPDATE faxes AS f SET terms = array_remove(ARRAY[
  pg_temp.term(account, 'to_index', to_index), pg_temp.term(account, 'from_index', from_index),
  pg_temp.term(account, 'group_name', group_name), pg_temp.term(account, 'state', state),
  pg_temp.term(account, 'reason', reason)] || ARRAY(
    SELECT pg_temp.term(m.account, 'member', m.value, m.key) FROM fax_metadata AS m
    WHERE (m.account, m.job, m.reuse) = (f.account, f.job, f.reuse)), NULL)
"""


def upgrade() -> None:
    """Add the column, and fill it for the faxes that are there: seconds for each hundred thousand."""
    op.add_column("faxes", sa.Column("terms", ARRAY(sa.BigInteger()).with_variant(sa.Text(), "sqlite")))
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_TERM)
        connection.exec_driver_sql(_FILL)
        op.create_index("ix_faxes_terms", "faxes", ["terms"], postgresql_using="gin")


def downgrade() -> None:
    """Drop the column, and its index with it."""
    op.drop_column("faxes", "terms")
