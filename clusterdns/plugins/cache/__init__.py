"""The `cache` directive: replies of upstreams, kept until they expire.

Reading order: `directive` parses and builds, `settings` holds what was parsed, `handler` answers, `store` keeps
entries, `rules` says what may be kept and for how long, `refresh` asks again in the background, `metrics` counts.
"""

from clusterdns.plugins.cache.directive import PLUGIN

__all__ = ["PLUGIN"]
