"""The versions of the schema, the oldest first."""
