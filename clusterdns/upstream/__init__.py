"""Asking other DNS servers."""
