"""Finds faxes for a person, live ones in Redis and ended ones in the archive, and counts them."""
