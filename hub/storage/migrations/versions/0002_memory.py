"""Flows with memory: cases and their steps, what is held back, recalls and receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    """Add the tables, the reference from a delivery to an earlier one, and the way to find a keten."""
    op.add_column("deliveries", sa.Column("about", KEY, nullable=True))
    _partial("signals_in_keten", "signals", ["keten"], "keten <> id")
    op.create_table(
        "cases",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=17), nullable=True),
        sa.Column("keten", KEY, nullable=False),
        sa.Column("municipality", sa.String(length=4), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("next_due", KEY, nullable=True),
        sa.Column("opened_at", KEY, nullable=False),
        sa.Column("changed_at", KEY, nullable=False),
        sa.Column("closed_at", KEY, nullable=True),
        sa.Column("erase_at", KEY, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    _partial("cases_open", "cases", ["process", "state"], "closed_at IS NULL")
    _partial("cases_due", "cases", ["next_due", "id"], "next_due IS NOT NULL")
    _partial("cases_about", "cases", ["subject"], "closed_at IS NULL")
    op.create_index("cases_in_keten", "cases", ["keten"], unique=False)
    _partial("cases_to_erase", "cases", ["erase_at"], "erase_at IS NOT NULL")
    op.create_table(
        "case_steps",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("case", KEY, nullable=False),
        sa.Column("signal", KEY, nullable=True),
        sa.Column("trigger", sa.Integer(), nullable=False),
        sa.Column("from_state", sa.Integer(), nullable=True),
        sa.Column("to_state", sa.Integer(), nullable=False),
        sa.Column("moved", sa.SmallInteger(), nullable=False),
        sa.Column("rule_set", sa.Integer(), nullable=False),
        sa.Column("at", KEY, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_case_steps_case"), "case_steps", ["case"], unique=False)
    op.create_index(op.f("ix_case_steps_signal"), "case_steps", ["signal"], unique=False)
    op.create_table(
        "recalls",
        sa.Column("original", KEY, autoincrement=False, nullable=False),
        sa.Column("by", KEY, nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("original"),
    )
    op.create_index(op.f("ix_recalls_by"), "recalls", ["by"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("signal", KEY, autoincrement=False, nullable=False),
        sa.Column("recipient", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("original", KEY, nullable=False),
        sa.Column("confirmed_at", KEY, nullable=True),
        sa.PrimaryKeyConstraint("signal", "recipient"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_receipts_original"), "receipts", ["original"], unique=False)
