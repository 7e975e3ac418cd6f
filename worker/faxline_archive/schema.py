"""The tables of the archive, for SQLite and PostgreSQL. Alembic makes them (migrations/).

Times are milliseconds since 1970 in UTC. Texts that name a person or a number are sealed where keys are
configured (privacy.py); columns that are searched by such a text hold its HMAC then.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

EVENTS, AUDIT = "events", "audit"
STREAMS = (EVENTS, AUDIT)
"""The streams of an account that are archived, by the last part of their keys."""
VERSION = "0009"
"""The version of the schema that these tables are."""
NAME = 63
"""Characters of an account's name."""
JOB = 128
"""Characters of a job's id, and of a group's."""
VALUE = 256
"""Characters of a metadata member's value that is searched as it is."""
REJECTED = "rejected"
"""The state of a fax that intake rejected. Its id may be pushed again."""
DIGEST = 64
"""Characters of a SHA-256 as hexadecimal digits."""

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s"}
)

accounts = Table(
    "accounts",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("frontier", Text),
    Column("expired", BigInteger, nullable=False),
    Column("sealed_by", String(32)),
    Column("ordered", BigInteger, nullable=False),
)
"""One row an account. size: its leaves; the next leaf has this number. frontier: of the Merkle tree, for
checkpoints. expired: all leaves below this number are past their retention. sealed_by: the key that seals all
of its rows; null where it is not known or nothing is sealed. ordered: the leaf of the first order to forget
that was not carried out yet; -1 if there is none."""

positions = Table(
    "positions",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("stream", String(6), primary_key=True),
    Column("mark", String(80), nullable=False),
    Column("missing", BigInteger, nullable=False),
)
"""How far a stream is archived. mark: as Redis has it after the last commit (state/archive_marks.py).
missing: how many entries Redis had dropped before they were read."""

gaps = Table(
    "gaps",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("stream", String(6), primary_key=True),
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("since", BigInteger),
)
"""Where entries of a stream are missing. leaf: the number of the first leaf after the gap. since: the time of
the last entry before it; null if the gap is somewhere before that leaf."""

entries = Table(
    "entries",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("leaf", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", String(6), nullable=False),
    Column("entry_id", String(48), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", String(32)),
    Column("job", String(JOB)),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("body", Text),
    Column("private", Text),
    Column("key_id", String(32)),
    UniqueConstraint("account", "stream", "entry_id"),
    Index(None, "account", "job"),
    Index(
        "ix_entries_resends",
        *("account", "leaf"),
        postgresql_where=text("kind = 'resend'"),
        sqlite_where=text("kind = 'resend'"),
    ),
)
"""One row an entry of a stream, which is one leaf of the account's tree. kind: the event's name, or what
the audit tells. body: the leaf's JSON. private: the JSON to which the leaf commits by its hash, sealed
with key_id. Where Redis went back and gave a stream id again, the entry_id ends in `/2`, the next in `/3`.
Of an entry that was erased, kind, job, body and private are null."""

faxes = Table(
    "faxes",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("job", String(JOB), primary_key=True),
    Column("reuse", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16)),
    Column("resend_of", String(JOB)),
    Column("group_name", String(JOB)),
    Column("priority", String(16)),
    Column("state", String(16), nullable=False),
    Column("stage", String(16)),
    Column("reason", String(64)),
    Column("code", Integer),
    Column("message", Text),
    Column("attempt", Integer, nullable=False),
    Column("submissions", Integer, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("job_id", BigInteger),
    Column("pages", Integer),
    Column("transferred", Integer),
    Column("partial", Boolean),
    Column("charged", Boolean),
    Column("documents", Text),
    Column("receipt", String(DIGEST)),
    Column("queued_at", BigInteger, nullable=False),
    Column("send_at", BigInteger),
    Column("submitted_at", BigInteger),
    Column("call_started_at", BigInteger),
    Column("call_ended_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_event", String(48), nullable=False),
    Column("to_index", String(DIGEST)),
    Column("from_index", String(DIGEST)),
    Column("private", Text),
    Column("key_id", String(32)),
    Column("terms", ARRAY(BigInteger).with_variant(Text, "sqlite")),
    Index(None, "account", "queued_at", "job"),
    Index(None, "account", "to_index", "queued_at", "job"),
    Index(None, "account", "from_index", "queued_at", "job"),
    Index(None, "account", "state", "queued_at", "job"),
    Index(None, "account", "reason", "queued_at", "job"),
    Index(None, "account", "group_name", "queued_at", "job"),
    Index(None, "account", "group_name", "state", "queued_at", "job"),
    Index(None, "account", "job_id"),
    Index(
        "ix_faxes_partial",
        *("account", "state", "queued_at", "job"),
        postgresql_where=text("partial IS true"),
        sqlite_where=text("partial IS 1"),
    ),
    Index(None, "terms", postgresql_using="gin").ddl_if(dialect="postgresql"),
)
"""One row a fax, as its last event left it. reuse: how many faxes had this id before (an id is free again
once its record has expired). submissions: how often iFax took it. deliveries: how many deliveries failed.
documents: the SHA-256 of each, as JSON. receipt: the SHA-256 of the last receipt. private: JSON with to,
from, metadata and receipts, sealed with key_id. terms: what several conditions at once find it by (terms.py);
null on SQLite, which has no such index."""

fax_metadata = Table(
    "fax_metadata",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("job", String(JOB), primary_key=True),
    Column("reuse", Integer, primary_key=True, autoincrement=False),
    Column("key", String(JOB), primary_key=True),
    Column("value", String(VALUE), nullable=False),
    Column("queued_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", String(64)),
    Column("transferred", Integer),
    Index(
        "ix_fax_metadata_account_key_value_queued_at_job",
        *("account", "key", "value", "queued_at", "job"),
        postgresql_include=["state", "transferred"],
    ),
    Index(
        "ix_fax_metadata_account_key_queued_at",
        *("account", "key", "queued_at"),
        postgresql_include=["value", "state", "transferred"],
    ),
    Index(None, "account", "key", "value", "state", "queued_at", "job"),
    Index(None, "account", "key", "value", "reason", "queued_at", "job"),
)
"""The metadata of a fax, to be found by: one row a member. value: its text, or its HMAC. queued_at, state,
reason and transferred: those of the fax, so that one index answers a search by a member and a state or
reason, and on PostgreSQL counts the faxes and pages of a member."""

usage_sums = Table(
    "usage_sums",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("minutes", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("faxes", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("pages", BigInteger, nullable=False),
)
"""How many faxes of `faxes` were queued in a span of so many minutes, how many of them are delivered and
failed, and their transferred pages (sums.py). minutes: 15, or 1440 for a day of UTC. number: which of these
spans since 1970. Rejected entries are no faxes."""

member_sums = Table(
    "member_sums",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("key", String(JOB), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("sums", Text),
)
"""The same of a day of UTC by the values of a member of the metadata: JSON with the counts of each value. It
is null if there are too many of them (sums.py): then the faxes of that day are counted in `fax_metadata`."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("signature", LargeBinary(64), nullable=False),
    Column("key_id", String(DIGEST), nullable=False),
)
"""Signed heads of an account's tree."""

tree_nodes = Table(
    "tree_nodes",
    metadata,
    Column("account", String(NAME), primary_key=True),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
)
"""Hashes of complete subtrees, at every eighth level, so that a proof need not read all leaves."""
