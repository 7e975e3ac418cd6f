"""Counts the pages of PDFs in a child process, within limits of time and memory."""
