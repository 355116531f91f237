"""The `transfer` directive: zone transfers to secondaries (AXFR, IXFR) and NOTIFY.

Reading order: `directive` parses, builds and answers, `notify` sends NOTIFY.
"""

from clusterdns.plugins.transfer.directive import PLUGIN

__all__ = ["PLUGIN"]
