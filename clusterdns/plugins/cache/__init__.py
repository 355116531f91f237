"""The `cache` directive: replies of upstreams, kept until they expire.

Reading order: `directive` parses and builds, `settings` holds the parsed values, `handler` answers, `rules` decides
what is cached and for how long, `entry`, `store` and `cache` hold it, `phases` ends compiled answers when TTLs count
down, `refresh` asks upstreams in the background, `metrics` counts.
"""

from clusterdns.plugins.cache.directive import PLUGIN

__all__ = ["PLUGIN"]
