"""Submission: a job becomes a call to iFax."""
