"""Compiled answers: messages ready to send, keyed by the bytes of the query."""
