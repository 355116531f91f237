"""The `kubernetes` directive: the names of a cluster, answered from the index.

Reading order: `directive` builds, `settings` parses, `feed` fills the index from a source, `handler` answers,
`transfer` gives zones to `transfer`, `labels` gives metadata, `exports` is what other directives of the block use.
"""

from clusterdns.plugins.kubernetes.directive import PLUGIN

__all__ = ["PLUGIN"]
