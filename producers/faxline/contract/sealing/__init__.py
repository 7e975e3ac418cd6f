"""Sealing: documents, requests and entries encrypted with the account's keys."""
