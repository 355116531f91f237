"""Follows one collection of the API server: list, watch, resume, and relist where resuming is not enough.

Reading order: `reflector` decides which request comes next, `listing` reads a list, `watch` reads a watch, and
`retry` says how long to wait after a failure.
"""
