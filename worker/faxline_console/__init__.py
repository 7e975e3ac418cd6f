"""The console: a web page for the people who send, watch and account for faxes."""
