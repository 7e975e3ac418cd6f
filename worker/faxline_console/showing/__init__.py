"""What pages say: states and reasons in words, times, countries, and when a fax would go."""
