"""The `bind` directive: the addresses that a block listens on, instead of all.

An interface's name stands for its addresses at the moment the configuration is loaded. Several lines add up; `except`
takes away from its own line only.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.interfaces import interface_addresses

Interfaces = Mapping[str, Sequence[str]]

_NO_WORDS: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Settings:
    """The addresses, each once, in the order of the file."""

    addresses: tuple[str, ...]


def resolve(directives: Sequence[Directive], interfaces: Interfaces) -> tuple[str, ...]:
    """What all lines together name, less the exceptions of each. Raises CorefileError."""
    found: dict[str, None] = {}
    for directive in directives:
        wanted = _addresses(directive.arguments_between(1, None, "ADDRESS|INTERFACE…"), interfaces)
        exceptions = read_block(_NO_WORDS, [directive], _OPTIONS)
        unwanted = _addresses(exceptions, interfaces)
        wanted = [address for address in wanted if address not in unwanted]
        if not wanted:
            raise directive.error("no address is left to listen on", "name one, or take away an exception")
        found |= dict.fromkeys(wanted)
    return tuple(found)


def _addresses(words: Sequence[Token], interfaces: Interfaces) -> list[str]:
    found: list[str] = []
    for word in words:
        if word.text in interfaces:
            found += interfaces[word.text]
            continue
        address = _address(word)
        if address is None:
            hint = f"interfaces here are {', '.join(interfaces)}"
            raise word.error(f"{word} is neither an address nor an interface", hint)
        found.append(address)
    return found


def _address(word: Token) -> str | None:
    try:
        return str(ipaddress.ip_address(word.text))
    except ValueError:
        return None


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`bind ADDRESS|INTERFACE… { except ADDRESS|INTERFACE… }`, repeatable. Raises CorefileError."""
    words = [word for one in directives for statement in (one, *one.block) for word in statement.args]
    named = next((word for word in words if _address(word) is None), None)
    if named is None:
        return Settings(resolve(directives, {}))
    try:
        interfaces = interface_addresses()
    except OSError as problem:
        raise named.error(f"cannot find interface {named}: {problem}", "write its addresses instead") from problem
    return Settings(resolve(directives, interfaces))


def configure_block(settings: Settings, context: BlockContext) -> BlockContext:
    """The block listens on these addresses; the first is the one that metrics name."""
    host = settings.addresses[0]
    scheme = context.server_text.partition(":")[0]
    server_text = f"{scheme}://[{host}]:{context.port}" if ":" in host else f"{scheme}://{host}:{context.port}"
    listening = replace(context.listener, addresses=settings.addresses)
    return replace(context, listener=listening, server_text=server_text)


def build(settings: Settings, context: BlockContext) -> Part:
    """Nothing in the chain."""
    return Part("bind")


def _except(words: tuple[Token, ...], line: Line) -> tuple[Token, ...]:
    return (*words, *line.arguments_between(1, None, "ADDRESS|INTERFACE…"))


_OPTIONS = (Option("except ADDRESS|INTERFACE…", "none", "Not these, of those that this line names.", _except),)

DOC = Doc(
    usage=("bind ADDRESS|INTERFACE…",),
    about="Listen on these addresses instead of all. Repeatable: several lines add up. An interface stands for its "
    "addresses when the configuration is loaded. `0.0.0.0` and `::` both stand for every address of either family, "
    "unless another block has the other one on the same port. A socket per address is also the faster way to listen "
    "([decision 0004](decisions/0004-socket-per-address.md)).",
    options=_OPTIONS,
    example="bind 127.0.0.1\nwhoami",
    better="apex NS records name the bound addresses, where CoreDNS has none.",
)
PLUGIN = Plugin("bind", parse, build, doc=DOC, configure_block=configure_block)
