"""The `log` directive: one line per query.

Reading order: `directive` parses and builds, `observer` chooses the queries to log, `line` formats a line.
"""

from clusterdns.plugins.log.directive import PLUGIN

__all__ = ["PLUGIN"]
