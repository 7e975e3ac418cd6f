"""The Faxline daemon: dispatcher, worker and webhook."""
