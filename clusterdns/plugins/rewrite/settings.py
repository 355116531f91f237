"""The settings of `rewrite`: the rules of a block in the order of the file."""

from dataclasses import dataclass, replace

from clusterdns.plugins.rewrite.rule import RewriteRule


@dataclass(frozen=True)
class RewriteStep:
    """A rule with its `stop` or `continue`."""

    rule: RewriteRule
    stops: bool = True  # once the rule has applied, later rules do not
    text: str = ""  # as in the Corefile
    place: str = ""  # file:line


@dataclass(frozen=True)
class RewriteSettings:
    """The rules of a block, and the port of the block, which they may need."""

    port: int = 53
    steps: tuple[RewriteStep, ...] = ()
    echoed_codes: frozenset[int] = frozenset()  # EDNS options that the reply repeats to the client

    def with_rule(self, rule: RewriteRule) -> "RewriteSettings":
        """Return the settings with one more rule."""
        return replace(self, steps=(*self.steps, RewriteStep(rule)))
