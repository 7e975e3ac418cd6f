"""The settings and the accounts' secrets."""
