"""The processes of the daemon, put together: one file a role."""
