"""The migrations of the archive's database, for Alembic. `database.migrate` runs them."""
