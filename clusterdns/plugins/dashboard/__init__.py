"""The `dashboard` directive: a web page that shows the cluster's DNS live, and explains names.

Reading order: `directive` parses and builds; `site` answers requests and is imported by the first one, `access` and
`login` decide who may ask, `events` sends what changes, `privacy` hides names, and `views/` writes HTML.
"""

from clusterdns.plugins.dashboard.directive import PLUGIN

__all__ = ["PLUGIN"]
