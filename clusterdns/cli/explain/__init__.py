"""`clusterdns explain`: why a name resolves or does not, by a running server, or by its Corefile run here.

Reading order: `command` (flags, and the choice of the source), `local` (a Corefile, manifests or a cluster), `remote`
(a running server), `text` (the output). `server.explaining` makes the explanations.
"""
