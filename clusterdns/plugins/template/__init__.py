"""The `template` directive: replies made of Go templates in the Corefile.

Reading order: `directive` parses and builds, `settings` reads the lines of a block, `reply_template` holds the result,
`fields` is the data that a template sees, `handler` answers queries. `clusterdns.gotemplate` is the language.
"""

from clusterdns.plugins.template.directive import PLUGIN

__all__ = ["PLUGIN"]
