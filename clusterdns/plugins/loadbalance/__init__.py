"""The `loadbalance` directive: the order of the addresses in a reply.

Reading order: `directive` parses, builds and reorders, `weights` follows the file of a weighted policy.
"""

from clusterdns.plugins.loadbalance.directive import PLUGIN

__all__ = ["PLUGIN"]
