"""`clusterdns names`: every name that would be answered, from a cluster, from manifests, or by a whole Corefile.

Reading order: `command` (flags, and the choice of the source), `cluster` (objects into an index, and its records),
`configured` (a Corefile asked for the names that it holds), `rewritten` (rules of `rewrite`, read backwards),
`unlisted` (what a Corefile answers beside that), `table` (the output).
"""
