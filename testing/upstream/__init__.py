"""DNS servers that stand in for an upstream, each on loopback in a thread of its own.

`zone.ZoneUpstream` answers from zone-file lines, by dnslib. `scripted.ScriptedUpstream` does what the labels of a name
say, faults of every kind included; it is made of `server` (transports), `words`, `reply` and `faults`, by dnspython,
whose messages can be written byte for byte. `black_hole` never answers. The upstream that forges replies is a
benchmark's (`bench.upstreams`).
"""
