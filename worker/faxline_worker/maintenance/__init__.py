"""Upkeep of the stored state: erasure, key rotation, upgrades, the watch for rollbacks."""
