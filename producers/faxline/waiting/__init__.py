"""Wait for jobs to end."""
