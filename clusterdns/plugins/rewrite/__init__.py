"""The `rewrite` directive: questions that are changed on their way in, and replies changed back on their way out.

Reading order: `directive` builds and answers, `parse` reads the rules, `rules` applies them, `names` matches names,
`edns` changes EDNS options.
"""

from clusterdns.plugins.rewrite.directive import PLUGIN

__all__ = ["PLUGIN"]
