"""What an archive of an older version left out while it wrote beside a newer one, is made up for."""

from alembic import op

revision = "0007"
down_revision = "0006"

_SUM = """
INSERT INTO usage_sums (account, minutes, number, faxes, delivered, failed, pages)
SELECT account, minutes, queued_at / (minutes * 60000), count(*),
  sum(CASE WHEN state = 'delivered' THEN 1 ELSE 0 END),
  sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), coalesce(sum(transferred), 0)
FROM faxes CROSS JOIN (SELECT 15 AS minutes UNION ALL SELECT 1440) AS spans
WHERE state <> 'rejected' GROUP BY 1, 2, 3
"""
_TELL = """
UPDATE fax_metadata SET state = f.state, reason = f.reason, transferred = f.transferred FROM faxes AS f
WHERE f.account = fax_metadata.account AND f.job = fax_metadata.job AND f.reuse = fax_metadata.reuse
  AND (fax_metadata.state <> f.state OR fax_metadata.reason IS DISTINCT FROM f.reason
    OR fax_metadata.transferred IS DISTINCT FROM f.transferred)
"""
_TERM = """
CREATE OR REPLACE FUNCTION pg_temp.term(account text, what text, value text, key text DEFAULT '')
RETURNS bigint LANGUAGE sql IMMUTABLE RETURN (('x' || encode(substring(sha256(convert_to(
  account || E'\\n' || what || E'\\n' || key || E'\\n' || value, 'UTF8'
)) FROM 1 FOR 8), 'hex'))::bit(64)::bigint)
"""
_FILL = """
UPDATE faxes AS f SET terms = made.terms FROM (
  SELECT account, job, reuse, array_remove(ARRAY[
    pg_temp.term(account, 'to_index', to_index), pg_temp.term(account, 'from_index', from_index),
    pg_temp.term(account, 'group_name', group_name), pg_temp.term(account, 'state', state),
    pg_temp.term(account, 'reason', reason)] || ARRAY(
      SELECT pg_temp.term(m.account, 'member', m.value, m.key) FROM fax_metadata AS m
      WHERE (m.account, m.job, m.reuse) = (g.account, g.job, g.reuse)), NULL) AS terms
  FROM faxes AS g
) AS made
WHERE (made.account, made.job, made.reuse) = (f.account, f.job, f.reuse)
  AND (f.terms @> made.terms AND made.terms @> f.terms) IS NOT TRUE
"""


def upgrade() -> None:
    """Count the sums again, and mend the terms and what the metadata tells where they differ."""
    op.execute("DELETE FROM usage_sums")
    op.execute(_SUM)
    op.execute(_TELL)
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_TERM)
        connection.exec_driver_sql(_FILL)


def downgrade() -> None:
    """There is nothing to undo."""
