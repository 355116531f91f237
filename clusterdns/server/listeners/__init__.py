"""The sockets that serve DNS.

Reading order: `udp`, then `tcp` (with `connection`, `connection_table` and `framing`), then `takeover`, which opens a
listener for each listen point and hands the listeners of one configuration to the next.
"""
