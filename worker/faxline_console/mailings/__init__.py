"""Mailings: an upload before its push, the list of those pushed, and how far each is."""
