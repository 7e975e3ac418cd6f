"""`FaxLine` and `AsyncFaxLine`."""
