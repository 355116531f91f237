"""The API server as a source of objects: list, watch, credentials."""
