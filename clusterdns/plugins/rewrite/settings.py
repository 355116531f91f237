"""The settings of `rewrite`: the rules of a block in the order of the file."""

import msgspec
from msgspec.structs import replace

from clusterdns.plugins.rewrite.rule import RewriteRule


class RewriteStep(msgspec.Struct, frozen=True):
    """A rule with its `stop` or `continue`."""

    rule: RewriteRule
    stops: bool = True  # once the rule has applied, later rules do not
    text: str = ""  # as in the Corefile
    place: str = ""  # file:line


class RewriteSettings(msgspec.Struct, frozen=True):
    """The rules of a block, and the port of the block, which they may need."""

    port: int = 53
    steps: tuple[RewriteStep, ...] = ()
    echoed_codes: frozenset[int] = frozenset()  # EDNS options that the reply repeats to the client

    def with_rule(self, rule: RewriteRule) -> "RewriteSettings":
        """Return the settings with one more rule."""
        return replace(self, steps=(*self.steps, RewriteStep(rule)))
