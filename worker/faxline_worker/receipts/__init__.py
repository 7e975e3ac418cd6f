"""Receipts: verifies and stores iFax's webhooks, and applies them to their jobs."""
