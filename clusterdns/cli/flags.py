"""CoreDNS's flags as Go's flag package reads them, which deployments depend on: one dash or two, `=` or a space.

Only argv is read here; `serve` knows what the flags mean. Libraries for command lines read `-dns.port` and
`-quiet=false` differently, hence a reader of our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

DEFAULT_PORT = 53
MAX_PORT = 65_535

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})

# Flag, name of its value (empty: a switch), effect; in the order of the usage.
_FLAGS = (
    ("conf", "FILE", "Corefile to load, 'stdin' for standard input (default: Corefile in the working directory)"),
    ("dns.port", "PORT", f"port of plain DNS keys without one (default {DEFAULT_PORT})"),
    ("p", "PORT", "the same as -dns.port"),
    ("pidfile", "FILE", "write the process id to FILE once DNS is answered"),
    ("plugins", "", "list the plugins and exit"),
    ("quiet", "", "do not print zones and version at the start"),
    ("state", "FOLDER", "keep the last good Corefile there, for starts with a wrong one (default: $CLUSTERDNS_STATE)"),
    ("version", "", "show the version and exit"),
)
_VALUES = {name: value for name, value, _ in _FLAGS}
_COMMANDS = (
    ("check COREFILE", "report every error of a Corefile, and exit"),
    ("names", "list the names that would be answered, from a cluster or from manifests"),
)


class HelpAsked(Exception):
    """The command line has `-h` or `-help`."""


class FlagError(Exception):
    """The command line is wrong; the text is Go's."""


@dataclass
class ServeFlags:
    """The flags of a command line; `extra` are the arguments after the last flag."""

    conf: str = ""
    dns_port: int = DEFAULT_PORT
    pidfile: str = ""
    plugins: bool = False
    quiet: bool = False
    state: str = ""
    version: bool = False
    extra: tuple[str, ...] = ()


def parse(arguments: Sequence[str]) -> ServeFlags:
    """Read flags up to the first argument that is not a flag, or to `--`. Raises FlagError and HelpAsked."""
    flags = ServeFlags()
    left = list(arguments)
    while left and len(left[0]) > 1 and left[0][0] == "-":
        word = left.pop(0)
        if word == "--":
            break
        body = word[2:] if word.startswith("--") else word[1:]
        if body[:1] in ("", "-", "="):
            raise FlagError(f"bad flag syntax: {word}")
        name, has_value, value = body.partition("=")
        if name not in _VALUES:
            if name in ("h", "help"):
                raise HelpAsked
            raise FlagError(f"flag provided but not defined: -{name}")
        if _VALUES[name] and not has_value:
            if not left:
                raise FlagError(f"flag needs an argument: -{name}")
            value = left.pop(0)
        _set(flags, name, value if has_value or _VALUES[name] else "true")
    flags.extra = tuple(left)
    return flags


def _set(flags: ServeFlags, name: str, value: str) -> None:
    """Set the field of a flag; the last of several for the same field wins."""
    if name in ("dns.port", "p"):
        flags.dns_port = _port(name, value)
    elif _VALUES[name]:
        setattr(flags, name, value)
    elif value in _TRUE or value in _FALSE:
        setattr(flags, name, value in _TRUE)
    else:
        raise FlagError(f'invalid boolean value "{value}" for -{name}: parse error')


def _port(name: str, value: str) -> int:
    # CoreDNS accepts any text here and fails when it listens
    is_number = value.isascii() and value.isdigit() and len(value) <= len(str(MAX_PORT))
    if not is_number or int(value) > MAX_PORT:
        raise FlagError(f'invalid value "{value}" for flag -{name}: not a port from 0 to {MAX_PORT}')
    return int(value)


def usage(program: str) -> str:
    """Write the usage that is printed for `-h` and after a wrong flag."""
    lines = [f"Usage of {program}:"]
    for name, value, text in _FLAGS:
        lines += [f"  -{name} {value}".rstrip(), f"    \t{text}"]
    lines.append("Commands:")
    for command, text in _COMMANDS:
        lines += [f"  {program} {command}", f"    \t{text}"]
    return "\n".join(lines)
