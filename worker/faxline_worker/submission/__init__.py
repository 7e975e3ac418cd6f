"""Submission: calls iFax for the jobs that are admitted."""
