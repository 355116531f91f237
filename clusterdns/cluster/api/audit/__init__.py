"""Audits: compares what is known with the API server's metadata, for events that a watch has lost without an error.

Reading order: `rounds` decides when, `comparison` compares one collection and corrects it, `metadata` reads the pages.
`cluster.versions` has what they are compared with. Nothing here opens or ends a watch.
"""
