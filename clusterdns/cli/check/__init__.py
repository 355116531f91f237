"""`clusterdns check`: the verdict on a configuration, without starting the server.

Reading order: `source` (a file, standard input; what is not a Corefile), `configmap` (a Corefile in what kubectl
prints), `reading` (both together), `command` (the checks), `advice` (lines
without effect), `report` (the verdict as text or JSON), `differences` (from CoreDNS).
"""
