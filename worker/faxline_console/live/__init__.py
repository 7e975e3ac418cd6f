"""What Redis has: the lines to the accounts, in few commands that all viewers share."""
