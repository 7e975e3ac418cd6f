"""Clients of Redis: on one server, behind Sentinels and on a cluster, with a deadline for every command."""
