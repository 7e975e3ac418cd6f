"""Every kind of trouble that a fax can meet, provoked against the sandbox through the real processes."""
