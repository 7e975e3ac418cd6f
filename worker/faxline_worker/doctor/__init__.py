"""The checks of `faxline-worker doctor`."""
