"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables. schema.py says what they hold."""
    op.create_table(
        "accounts",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("frontier", sa.Text(), nullable=True),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("sealed_by", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("account", "size"),
    )
    op.create_table(
        "entries",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("leaf", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stream", sa.String(length=6), nullable=False),
        sa.Column("entry_id", sa.String(length=48), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=True),
        sa.Column("job", sa.String(length=128), nullable=True),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("private", sa.Text(), nullable=True),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("account", "leaf"),
        sa.UniqueConstraint("account", "stream", "entry_id", name="uq_entries"),
    )
    op.create_index("ix_entries_account_job", "entries", ["account", "job"], unique=False)
    op.create_table(
        "fax_metadata",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("reuse", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("account", "job", "reuse", "key"),
    )
    op.create_index(
        "ix_fax_metadata_account_key_value_queued_at_job",
        "fax_metadata",
        ["account", "key", "value", "queued_at", "job"],
        unique=False,
    )
    for column in ("state", "reason"):
        op.create_index(
            f"ix_fax_metadata_account_key_value_{column}_queued_at_job",
            "fax_metadata",
            ["account", "key", "value", column, "queued_at", "job"],
            unique=False,
        )
    op.create_table(
        "faxes",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("job", sa.String(length=128), nullable=False),
        sa.Column("reuse", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=True),
        sa.Column("resend_of", sa.String(length=128), nullable=True),
        sa.Column("group_name", sa.String(length=128), nullable=True),
        sa.Column("priority", sa.String(length=16), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("submissions", sa.Integer(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("pages", sa.Integer(), nullable=True),
        sa.Column("transferred", sa.Integer(), nullable=True),
        sa.Column("partial", sa.Boolean(), nullable=True),
        sa.Column("charged", sa.Boolean(), nullable=True),
        sa.Column("documents", sa.Text(), nullable=True),
        sa.Column("receipt", sa.String(length=64), nullable=True),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("send_at", sa.BigInteger(), nullable=True),
        sa.Column("submitted_at", sa.BigInteger(), nullable=True),
        sa.Column("call_started_at", sa.BigInteger(), nullable=True),
        sa.Column("call_ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_event", sa.String(length=48), nullable=False),
        sa.Column("to_index", sa.String(length=64), nullable=True),
        sa.Column("from_index", sa.String(length=64), nullable=True),
        sa.Column("private", sa.Text(), nullable=True),
        sa.Column("key_id", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("account", "job", "reuse"),
    )
    op.create_index(
        "ix_faxes_account_group_name_queued_at_job",
        "faxes",
        ["account", "group_name", "queued_at", "job"],
        unique=False,
    )
    op.create_index("ix_faxes_account_queued_at_job", "faxes", ["account", "queued_at", "job"], unique=False)
    op.create_index(
        "ix_faxes_account_reason_queued_at_job",
        "faxes",
        ["account", "reason", "queued_at", "job"],
        unique=False,
    )
    op.create_index(
        "ix_faxes_account_state_queued_at_job",
        "faxes",
        ["account", "state", "queued_at", "job"],
        unique=False,
    )
    op.create_index(
        "ix_faxes_account_group_name_state_queued_at_job",
        "faxes",
        ["account", "group_name", "state", "queued_at", "job"],
        unique=False,
    )
    op.create_index(
        "ix_faxes_account_from_index_queued_at_job",
        "faxes",
        ["account", "from_index", "queued_at", "job"],
        unique=False,
    )
    op.create_index(
        "ix_faxes_account_to_index_queued_at_job",
        "faxes",
        ["account", "to_index", "queued_at", "job"],
        unique=False,
    )
    op.create_table(
        "positions",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("stream", sa.String(length=6), nullable=False),
        sa.Column("mark", sa.String(length=80), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "stream"),
    )
    op.create_table(
        "tree_nodes",
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("account", "level", "position"),
    )


def downgrade() -> None:
    """Drop all tables, and so all that is archived."""
    op.drop_table("accounts")
    op.drop_table("checkpoints")
    op.drop_table("entries")
    op.drop_table("fax_metadata")
    op.drop_table("faxes")
    op.drop_table("positions")
    op.drop_table("tree_nodes")
