"""Runs all of Faxline on one machine, as processes, for `make demo`, the playground and the tests."""
