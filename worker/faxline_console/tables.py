"""The tables of the console's own database."""

import zlib

from sqlalchemy import BigInteger, Column, Connection, Engine, ForeignKey, MetaData, String, Table, Text, text
from sqlalchemy.schema import DropTable

metadata = MetaData()
users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text),
    Column("accounts", Text, nullable=False),
    Column("department", Text, nullable=False),
    Column("zone", String(64), nullable=False),
)
"""password: None for those whom a proxy signs in. accounts: names with commas.
department: KEY=VALUE, or empty."""
sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("name", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False, index=True),
    Column("form_token", String(64), nullable=False),
    Column("began", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
)
tries = Table(
    "tries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    Column("address", String(64), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
)
"""Sign-ins that are under way or failed. name: its SHA-256."""

links = Table(
    "links",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("name", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("until", BigInteger, nullable=False),
)
"""Links that sign in once, by the SHA-256 of their tokens."""
mailings = Table(
    "mailings",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("who", String(64), nullable=False),
    Column("department", String(512), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("pushed", BigInteger, nullable=False),
    Column("left_out", BigInteger, nullable=False),
)
"""The mailings that were pushed here, which Redis keeps no list of."""


FORMER = ("failures",)
"""Tables of earlier versions that nothing reads any more."""
_LOCK = zlib.crc32(b"faxline console schema")
"""PostgreSQL's advisory lock under which the tables are made."""


def migrate(engine: Engine) -> None:
    """Make the tables that are not there yet, and drop those that nothing reads any more.

    Consoles may start at once: one waits for the other.
    """
    with engine.begin() as database:
        if engine.dialect.name == "postgresql":
            database.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        metadata.create_all(database)
        for name in FORMER:
            database.execute(DropTable(Table(name, MetaData()), if_exists=True))


def alone(database: Connection, table: Table) -> None:
    """Let no other transaction write a table until this one ends. SQLite has taken its lock already."""
    if database.dialect.name == "postgresql":
        database.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))
