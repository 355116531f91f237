"""Manifest files as a source of objects: what the API server's controllers would make of them."""
