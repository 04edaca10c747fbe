"""What alembic runs around the migrations: they share the connection, and the transaction, that `upgrade` was given."""

from __future__ import annotations

from alembic import context

from salver.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
