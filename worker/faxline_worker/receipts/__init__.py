"""Receipts: webhooks are verified and stored, and meet their jobs."""
