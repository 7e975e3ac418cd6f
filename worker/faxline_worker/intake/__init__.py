"""Intake: turns the entries of the intake stream into jobs."""
