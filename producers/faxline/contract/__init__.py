"""What the daemon and the library share: keys, entries, events, rules, errors, sealing, connections."""
