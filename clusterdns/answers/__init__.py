"""Compiled answers: messages ready to send, looked up by the bytes of the query.

Reading order: `compiled` (one answer), then `table` (all answers of a listener, and what they may take).
"""
