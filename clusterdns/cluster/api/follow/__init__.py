"""Follows one collection of the API server: list, watch, resume, and relist where resuming is not enough.

Reading order: `reflector` decides which request comes next; `streams` keeps a watch open and replaces it; `watch` reads
one, with `initial` for the list at its beginning and `rhythm` for its bookmarks; `listing` reads a list in pages;
`position` refuses what is older than what is known; `turns` lets other tasks run; `retry` says when to try again.
"""
