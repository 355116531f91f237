"""The `kubernetes` directive: the names of a cluster, answered from the index.

Reading order: `settings` parses the directive, `directive` builds its part, `feed` fills the index from a source,
`snapshot` keeps it for the next start, `subscription` is a block's use of the feed, `handler` answers, `transfer` sends
zones for `transfer`, `labels` are those of `metadata`, and `exports` is for other directives of the block.
"""

from clusterdns.plugins.kubernetes.directive import PLUGIN

__all__ = ["PLUGIN"]
