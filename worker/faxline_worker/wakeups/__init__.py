"""Wake-ups: Dramatiq messages that say which account may have work."""
