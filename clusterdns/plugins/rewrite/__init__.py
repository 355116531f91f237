"""The `rewrite` directive: changes queries before the next plugin sees them, and changes the replies back.

Reading order: `directive` parses and builds, `handler` runs the rules, `rule` is what all rules have in common,
`question_rules`, `reply_rules` and `edns_rules` are the rules, `names` matches and replaces names. `parse` and
`parse_edns` read rules from the Corefile into `settings`.
"""

from clusterdns.plugins.rewrite.directive import PLUGIN

__all__ = ["PLUGIN"]
