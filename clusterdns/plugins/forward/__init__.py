"""The `forward` directive: queries that are sent on to upstream servers.

Reading order: `directive` builds, `settings` parses, `handler` answers. `clusterdns.upstream` asks the upstreams.
"""

from clusterdns.plugins.forward.directive import PLUGIN

__all__ = ["PLUGIN"]
