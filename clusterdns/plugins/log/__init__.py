"""The `log` directive: one line per query.

Reading order: `directive` parses, builds and chooses, `line` writes the line.
"""

from clusterdns.plugins.log.directive import PLUGIN

__all__ = ["PLUGIN"]
