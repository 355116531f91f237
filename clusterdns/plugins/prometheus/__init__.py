"""The `prometheus` directive: metrics over HTTP.

Reading order: `directive` parses and builds, `web_config` reads the TLS settings that Prometheus exporters share.
"""

from clusterdns.plugins.prometheus.directive import PLUGIN

__all__ = ["PLUGIN"]
