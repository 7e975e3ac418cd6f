"""Operators' work: orders, doubts, the audit, recovery after a rollback."""
