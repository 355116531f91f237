"""The tables of cases, made from the objects that both sides know: `spec` and `multicluster` follow the specifications
of service discovery, `existence`, `records`, `messages`, `edns` and `transports` the RFCs."""
