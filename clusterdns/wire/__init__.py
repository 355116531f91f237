"""Bytes: DNS names, records and messages, read and written."""
