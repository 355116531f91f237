"""The `loadbalance` directive: the order of the addresses in a reply.

Reading order: `directive` parses and builds, `handler` marks or reorders replies, `weights` follows the weights file.
"""

from clusterdns.plugins.loadbalance.directive import PLUGIN

__all__ = ["PLUGIN"]
