"""The `forward` directive: queries that upstream servers answer.

Reading order: `directive` builds, `parse` reads a line with the help of `addresses` and `options`, `settings` is what
the line says, `handler` answers. `exports` is for `loop`. `clusterdns.upstream` asks the upstreams.
"""

from clusterdns.plugins.forward.directive import PLUGIN

__all__ = ["PLUGIN"]
