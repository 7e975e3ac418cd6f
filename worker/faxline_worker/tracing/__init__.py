"""Traces: a span from the push of a fax to its end."""
