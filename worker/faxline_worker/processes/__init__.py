"""Composes the daemon's processes, one module for each role."""
