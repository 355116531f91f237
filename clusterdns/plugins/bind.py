"""The `bind` directive: the addresses that a block listens on, instead of all.

The name of an interface stands for its addresses when the configuration is loaded. Several lines add up; `except`
applies to its own line only.
"""

import ipaddress
from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Doc, Part, Plugin
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.options import Option, read_block
from clusterdns.host.interfaces import interface_addresses

Interfaces = Mapping[str, Sequence[str]]

_NO_WORDS: tuple[Token, ...] = ()


class BindSettings(msgspec.Struct, frozen=True):
    """The addresses, each once, in the order of the file."""

    addresses: tuple[str, ...]


def resolve(directives: Sequence[Directive], interfaces: Interfaces) -> tuple[str, ...]:
    """Return the addresses of all lines, without the exceptions of each. Raises CorefileError."""
    found: dict[str, None] = {}
    for directive in directives:
        wanted = _addresses(directive.arguments_between(1, None, "ADDRESS|INTERFACE…"), interfaces)
        exceptions = read_block(_NO_WORDS, [directive], _OPTIONS)
        unwanted = _addresses(exceptions, interfaces)
        wanted = [address for address in wanted if address not in unwanted]
        if not wanted:
            raise directive.error("no address is left to listen on", "name one, or remove an exception")
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


def parse(directives: Sequence[Directive], context: BlockContext) -> BindSettings:
    """Read `bind ADDRESS|INTERFACE… { except ADDRESS|INTERFACE… }`, which may be repeated. Raises CorefileError."""
    words = [word for one in directives for statement in (one, *one.block) for word in statement.args]
    named = next((word for word in words if _address(word) is None), None)
    if named is None:
        return BindSettings(resolve(directives, {}))
    try:
        interfaces = interface_addresses()
    except OSError as problem:
        raise named.error(f"cannot find interface {named}: {problem}", "write its addresses instead") from problem
    return BindSettings(resolve(directives, interfaces))


def configure_block(settings: BindSettings, context: BlockContext) -> BlockContext:
    """Have the block listen on these addresses; metrics name the first one."""
    host = settings.addresses[0]
    scheme = context.server_text.partition(":")[0]
    server_text = f"{scheme}://[{host}]:{context.port}" if ":" in host else f"{scheme}://{host}:{context.port}"
    listener = replace(context.listener, addresses=settings.addresses)
    return replace(context, listener=listener, server_text=server_text)


def build(settings: BindSettings, context: BlockContext) -> Part:
    """Make a part without effects: `configure_block` has them."""
    return Part("bind")


def _except(words: tuple[Token, ...], line: Line) -> tuple[Token, ...]:
    return (*words, *line.arguments_between(1, None, "ADDRESS|INTERFACE…"))


_OPTIONS = (Option("except ADDRESS|INTERFACE…", "none", "Leaves these out of this line's addresses.", _except),)

DOC = Doc(
    usage=("bind ADDRESS|INTERFACE…",),
    about="Listens on these addresses instead of all. Repeatable: several lines add up. An interface stands for its "
    "addresses when the configuration is loaded. `0.0.0.0` and `::` both stand for every address of either family, "
    "unless another block has the other one on the same port.",
    options=_OPTIONS,
    example="bind 127.0.0.1\nwhoami",
    better="Apex NS records name the bound addresses, where CoreDNS has none.",
)
PLUGIN = Plugin("bind", parse, build, doc=DOC, configure_block=configure_block)
