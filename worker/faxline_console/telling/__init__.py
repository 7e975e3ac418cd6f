"""What happened: to one fax, and in the audit."""
