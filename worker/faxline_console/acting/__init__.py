"""What waits for a person, what was picked, and what can be done with it."""
