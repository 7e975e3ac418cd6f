"""Alembic's environment: the migrations run on the connection that `database.migrate` gives."""

from alembic import context

from faxline_archive.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
