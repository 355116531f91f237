"""What a Corefile answers without being listed by `names --conf`, as notes with the place of the directive.

Names that have no end (templates, pods of every address) and those of other servers cannot be listed; other notes say
what depends on the client, which the listing does not know.
"""

from collections.abc import Iterator

from clusterdns.cli.names.rewritten import is_one_way
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.load import Corefile

NOTES = {
    "acl": "names that 'acl' refuses to some clients are listed as for those that it allows",
    "autopath": "names that 'autopath' completes with a search domain are not listed",
    "chaos": "names of class CH, which 'chaos' answers, are not listed",
    "dns64": "AAAA records that 'dns64' makes from A records are not listed",
    "forward": "names that only upstreams answer are not listed",
    "local": "names that 'local' answers, such as localhost, are not listed",
    "template": "names that only 'template' answers are not listed",
    "whoami": "names that only 'whoami' answers are not listed",
}
_REWRITE = "names that this rule of 'rewrite' turns into others are not listed"
_PODS = "names of pods, which 'pods insecure' answers for every address, are not listed"


def unlisted(corefile: Corefile) -> Iterator[str]:
    """Yield the notes, in the order of the Corefile."""
    for block in corefile.blocks:
        for directive in block.directives:
            note = _note(directive)
            if note:
                yield f"{directive.place}: {note}"


def _note(directive: Directive) -> str:
    if directive.name == "rewrite":
        return _REWRITE if is_one_way(directive) else ""
    if directive.name == "kubernetes":
        is_insecure = any([word.text for word in line.words] == ["pods", "insecure"] for line in directive.block)
        return _PODS if is_insecure else ""
    return NOTES.get(directive.name, "")
