"""Intake: entries become jobs."""
