"""The checks of `faxline doctor`."""
