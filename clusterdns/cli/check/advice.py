"""Lines of a correct Corefile that have no effect: options that CoreDNS ignores too, and a fallthrough to nothing.

A start does not log them, because nothing in them is wrong; `check` lists them as warnings.
"""

from collections.abc import Iterator

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileWarning
from clusterdns.corefile.load import Corefile
from clusterdns.plugins.order import ORDER, plugin

_PRODUCERS = frozenset({"template", "hosts", "k8s_external", "kubernetes", "file", "forward", "whoami"})


def advice_on(corefile: Corefile) -> list[CorefileWarning]:
    """List the lines without effect."""
    return [warning for block in corefile.blocks for warning in (*_dead_options(block), *_vain_fallthrough(block))]


def _dead_options(block: ServerBlock) -> Iterator[CorefileWarning]:
    for directive in block.directives:
        dead = {option.name for option in plugin(directive.name).doc.options if option.is_dead}
        for line in directive.block:
            if line.name in dead:
                text = f"'{line.name}' of '{directive.name}' has no effect; remove the line"
                yield CorefileWarning(line.file, line.line, text)


def _vain_fallthrough(block: ServerBlock) -> Iterator[CorefileWarning]:
    """Yield a warning where the last plugin that answers passes names on; several of `template` are one plugin."""
    last = max((name for name in block.directive_names if name in _PRODUCERS), key=ORDER.index, default="")
    for directive in block.named(last):
        for line in directive.block:
            if line.name == "fallthrough" and directive is block.named(last)[-1]:
                text = (
                    f"'fallthrough' has no plugin to pass names to: those that '{last}' lacks get SERVFAIL; remove the "
                    "line, or add a plugin such as 'forward'"
                )
                yield CorefileWarning(line.file, line.line, text)
