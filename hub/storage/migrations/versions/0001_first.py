"""The first schema, as it was; later changes have revisions of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", KEY, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "decisions",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("signal", KEY, nullable=False),
        sa.Column("grant", sa.Integer(), nullable=True),
        sa.Column("recipient", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("rule_set", sa.Integer(), nullable=False),
        sa.Column("at", KEY, nullable=False),
        sa.Column("counted", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_decisions_signal"), "decisions", ["signal"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("delivery_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("signal", KEY, nullable=False),
        sa.Column("grant", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.Integer(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("queue", sa.Integer(), nullable=True),
        sa.Column("schema", sa.Integer(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("at", KEY, nullable=False),
        sa.Column("sequence", KEY, nullable=True),
        sa.Column("sent_at", KEY, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "deliveries_ready",
        "deliveries",
        ["recipient", "id"],
        unique=False,
        sqlite_where=sa.text("state = 1"),
        postgresql_where=sa.text("state = 1"),
    )
    op.create_index(
        "deliveries_waiting",
        "deliveries",
        ["queue", "id"],
        unique=False,
        sqlite_where=sa.text("state = 0"),
        postgresql_where=sa.text("state = 0"),
    )
    op.create_index(op.f("ix_deliveries_signal"), "deliveries", ["signal"], unique=False)
    op.create_table(
        "keten_names",
        sa.Column("hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("keten", KEY, nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_keten_names_keten"), "keten_names", ["keten"], unique=False)
    op.create_table(
        "keys",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("proof", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "log_offsets",
        sa.Column("consumer_group", sa.String(length=120), nullable=False),
        sa.Column("topic", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next", KEY, nullable=False),
        sa.PrimaryKeyConstraint("consumer_group", "topic"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_records",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("topic", sa.Integer(), nullable=False),
        sa.Column("at", KEY, nullable=False),
        sa.Column("expires", KEY, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_log_records_expires"), "log_records", ["expires"], unique=False)
    op.create_index("log_records_by_topic", "log_records", ["topic", "id"], unique=False)
    op.create_table(
        "names",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "quota_usage",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("period", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "period"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refusal_counts",
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("count", KEY, nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "rejections",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("signal_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("publisher", sa.Integer(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=True),
        sa.Column("received_at", KEY, nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=16), nullable=True),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=True),
        sa.Column("erase_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("fingerprint"),
    )
    op.create_index(op.f("ix_rejections_erase_at"), "rejections", ["erase_at"], unique=False)
    op.create_index(op.f("ix_rejections_signal_id"), "rejections", ["signal_id"], unique=False)
    op.create_table(
        "rule_sets",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("loaded_at", KEY, nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("version"),
    )
    op.create_table(
        "schemas",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_table(
        "sequences",
        sa.Column("recipient", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", KEY, nullable=False),
        sa.PrimaryKeyConstraint("recipient"),
    )
    op.create_table(
        "signals",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("signal_id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("publisher", sa.Integer(), nullable=False),
        sa.Column("municipality", sa.String(length=4), nullable=True),
        sa.Column("keten", KEY, nullable=True),
        sa.Column("cause", KEY, nullable=True),
        sa.Column("subject", sa.LargeBinary(length=17), nullable=True),
        sa.Column("time", KEY, nullable=False),
        sa.Column("received_at", KEY, nullable=False),
        sa.Column("rule_set", sa.Integer(), nullable=False),
        sa.Column("schema", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=16), nullable=True),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("erase_at", KEY, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("signal_id"),
    )
    op.create_index(
        "signals_to_erase",
        "signals",
        ["erase_at"],
        unique=False,
        sqlite_where=sa.text("erase_at IS NOT NULL"),
        postgresql_where=sa.text("erase_at IS NOT NULL"),
    )
