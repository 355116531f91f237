"""Follows one collection of the API server: list, watch, resume, and relist where resuming is not enough.

Reading order: `reflector` decides which request comes next, `listing` reads a list, `watch` reads a watch, `turns` lets
other tasks run in between, and `retry` says how long to wait after a failure.
"""
