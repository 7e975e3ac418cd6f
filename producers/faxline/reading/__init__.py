"""Read the state: jobs, groups, accounts, events, processes."""
