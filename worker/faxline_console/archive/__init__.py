"""What the archive has of faxes that ended."""
