"""How Alembic reaches the database: by the connection that the hub hands it."""

from __future__ import annotations

from alembic import context

from hub.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
