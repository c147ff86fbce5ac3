"""Up to where a recipient's sequence has left, so that a relay finds what an earlier one had numbered without a search."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the column, and an index of what nobody has handled; what is numbered and has not left stands behind it."""
    open_ = sa.text("state = 0")
    op.create_index("rejections_open", "rejections", ["received_at"], unique=False, sqlite_where=open_, postgresql_where=open_)
    op.add_column("sequences", sa.Column("sent", KEY, nullable=False, server_default="0"))
    op.execute(
        "UPDATE sequences SET sent = last - (SELECT count(*) FROM deliveries"
        " WHERE deliveries.recipient = sequences.recipient AND state = 1 AND sequence IS NOT NULL)"
    )
