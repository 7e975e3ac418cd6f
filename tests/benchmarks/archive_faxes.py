"""Fills an archive with millions of faxes, for measuring searches (tests/benchmarks/archive_searches.py).

The faxes are as those of keys that are configured: HMACs instead of numbers, and a sealed private part. Or
they are plain, so that a page that reads them has something to show.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Engine, text

from faxline_archive.migrations.versions import member_sums, usage_sums
from faxline_archive.schema import accounts, fax_metadata, faxes, metadata

ACCOUNT = "default"
"""It has nine of ten faxes; a hundred further accounts share the rest."""
KEY = "2027"
"""The id of the key that seals all."""
BEGIN = 1_750_000_000_000
"""When the first fax was queued, in milliseconds since 1970."""
STEP = 15_000
"""Milliseconds from one fax to the next: ten million take less than five years."""

TERM = """
CREATE OR REPLACE FUNCTION pg_temp.term(account text, what text, value text, key text DEFAULT '')
RETURNS bigint LANGUAGE sql IMMUTABLE RETURN (('x' || encode(substring(sha256(convert_to(
  account || E'\\n' || what || E'\\n' || key || E'\\n' || value, 'UTF8'
)) FROM 1 FOR 8), 'hex'))::bit(64)::bigint)
"""
"""terms.py's `term`, in SQL."""
FAXES = """
INSERT INTO faxes (account, job, group_name, state, reason, queued_at, to_index, from_index, job_id,
  reuse, kind, priority, stage, code, attempt, submissions, deliveries, pages, transferred, partial,
  documents, receipt, submitted_at, call_started_at, call_ended_at, ended_at, updated_at, last_event, private,
  key_id, terms)
SELECT f.*, 0, 'send', 'normal', CASE WHEN state = 'failed' THEN 'delivery' END, 0, 1, 1, 0,
  1 + n % 7, CASE WHEN state = 'delivered' THEN 1 + n % 7 ELSE 0 END, false,
  '["' || encode(sha256(n::text::bytea), 'hex') || '"]', encode(sha256(n::text::bytea), 'hex'),
  at + 1000, at + 4000, at + 64000, at + 65000, at + 65000, at || '-0', {private}, {key},
  array_remove(ARRAY[
    pg_temp.term(account, 'to_index', to_index), pg_temp.term(account, 'from_index', from_index),
    pg_temp.term(account, 'group_name', group_name), pg_temp.term(account, 'state', state),
    pg_temp.term(account, 'reason', reason),
    pg_temp.term(account, 'member', {department}, 'department'),
    CASE WHEN n % 5 = 0 THEN
      pg_temp.term(account, 'member', {case}, 'case') END], NULL)
FROM (SELECT
  CASE WHEN n % 10 < 9 THEN 'default' ELSE 'account-' || n / 10 % 100 END AS account, 'invoice-' || n AS job,
  CASE WHEN n % 20 = 0 THEN 'the-large-mailing' WHEN n % 2 = 0 THEN 'group-' || n / 200 END AS group_name,
  s.state, CASE s.state WHEN 'delivered' THEN 'delivered' WHEN 'failed'
    THEN (ARRAY['busy', 'no_answer', 'number_unassigned', 'other'])[1 + n % 4] ELSE s.state END AS reason,
  CAST(:begin AS bigint) + n * :step AS at,
  {to} AS to_index,
  {sender} AS from_index, n
FROM generate_series(:first ::bigint, :last ::bigint) AS n
CROSS JOIN LATERAL (SELECT CASE WHEN n % 100 < 93 THEN 'delivered' WHEN n % 100 < 98 THEN 'failed'
  WHEN n % 100 = 98 THEN 'canceled' WHEN n % 1000 = 999 THEN 'in_doubt' ELSE 'unconfirmed' END AS state) AS s
) AS f
"""
MEMBERS = """
INSERT INTO fax_metadata (account, job, reuse, key, value, queued_at, state, reason, transferred)
SELECT account, job, reuse, 'department', {department}, queued_at, state, reason, transferred
FROM faxes WHERE job_id BETWEEN :first AND :last
UNION ALL
SELECT account, job, reuse, 'case', {case}, queued_at, state, reason, transferred
FROM faxes WHERE job_id BETWEEN :first AND :last AND job_id % 5 = 0
"""
SEALED = {
    "to": "encode(sha256(('to' || (n * 7919) % 400000)::bytea), 'hex')",
    "sender": "encode(sha256(('from' || n % 3)::bytea), 'hex')",
    "private": "repeat(md5(n::text), 8)",
    "key": f"'{KEY}'",
    "department": "encode(sha256(('department' || job_id % 40)::bytea), 'hex')",
    "case": "encode(sha256(('case' || job_id)::bytea), 'hex')",
}
_TO = "'+1202' || (2000000 + (n * 7919) % 400000)"
PLAIN = {
    "to": _TO,
    "sender": "'+1303555010' || n % 3",
    "private": (
        f"""'{{"to":"' || {_TO} || '","from":"+1303555010' || n % 3"""
        """ || '","metadata":{"department":"department' || n % 40 || '"' """
        """|| CASE WHEN n % 5 = 0 THEN ',"case":"case' || n || '"' ELSE '' END || '}}'"""
    ),
    "key": "NULL",
    "department": "'department' || job_id % 40",
    "case": "'case' || job_id",
}
_MEMBERS = ("department", "case")
PIECE = 500_000


def number(fax: int) -> str:
    """The number of a plain fax."""
    return f"+1202{2_000_000 + fax * 7919 % 400_000}"


def fill(
    engine: Engine,
    count: int,
    *,
    begin: int = BEGIN,
    texts: dict[str, str] = SEALED,
    further: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> None:
    """Make the tables of an empty PostgreSQL database, and fill them. The indexes come last.

    Args:
        engine: of the database.
        count: how many faxes.
        begin: when the first was queued, in milliseconds since 1970.
        texts: SEALED or PLAIN.
        further: statements that add further faxes, with their parameters.
    """
    indexes = [(table, list(table.indexes)) for table in (faxes, fax_metadata)]
    for table, _ in indexes:
        table.indexes.clear()
    metadata.create_all(engine)
    for first in range(0, count, PIECE):
        span = {"first": first, "last": min(first + PIECE, count) - 1}
        with engine.begin() as connection:
            connection.exec_driver_sql(TERM)
            statement = FAXES.format(**texts | {key: texts[key].replace("job_id", "n") for key in _MEMBERS})
            connection.execute(text(statement), {**span, "begin": begin, "step": STEP})
    with engine.begin() as connection:
        sealed_by = KEY if texts is SEALED else None
        connection.execute(
            accounts.insert().values(account=ACCOUNT, size=0, expired=0, ordered=-1, sealed_by=sealed_by)
        )
        connection.execute(text("CREATE INDEX filling ON faxes (job_id)"))
    for first in range(0, count, PIECE):
        span = {"first": first, "last": min(first + PIECE, count) - 1}
        with engine.begin() as connection:
            connection.execute(text(MEMBERS.format(**texts)), span)
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX filling"))
        connection.exec_driver_sql(TERM)
        for statement, values in further.items():
            connection.execute(text(statement), values)
        connection.exec_driver_sql(usage_sums._SUM)
        member_sums.fill(connection)
    for table, own in indexes:
        table.indexes.update(own)
        for index in own:
            index.create(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def size_of(connection: Connection) -> int:
    """Bytes of the database."""
    return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
