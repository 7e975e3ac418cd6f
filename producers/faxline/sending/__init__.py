"""Check faxes and push them onto the intake stream."""
