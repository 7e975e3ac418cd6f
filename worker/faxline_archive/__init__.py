"""The archive: copies what happened from Redis into a SQL database, where it stays for years."""
