"""Bytes: DNS names, records and messages, read and written. Nothing here knows a plugin, a zone or a socket.

Reading order: `codes`, `header` and `name`; `record` and `rdata`; `edns`; `query` (what clients send), `response` and
`encode` (what they get; `truncate` and `compress` where space is short, `stream` for zone transfers); `decode` (what
upstreams send); `presentation` (records as text).
"""
