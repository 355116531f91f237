"""The reader of every command line: flags as Go's flag package reads them, for the server and for each command.

One dash or two, `=` or a space: deployments depend on this grammar, which libraries for command lines read differently
(`-dns.port`, `-quiet=false`, `-conf -quiet`). Commands also take flags after their arguments, and `-owide` for `-o
wide`, as kubectl does. Only argv is read here; `usage` writes the help, each command knows what its flags mean.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar, cast

from clusterdns.corefile.errors import nearest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_PORT = 65_535
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


class HelpAsked(Exception):
    """The command line has `-h` or `-help`."""


class FlagError(Exception):
    """The command line is wrong; the text begins as Go's does."""


class Flag(Generic[T_co]):
    """One flag: its names, the first of which is the usual one, its value, and what it does.

    Without `value`, the name of the value in the help, the flag is a switch. `read` makes the value of a text, and
    raises ValueError with what is wrong; a flag with `many` may be repeated, and its value is the tuple of all.
    `words` are the values that shells complete; those of a reader of `choice` are known without it.
    """

    def __init__(
        self, names: str, text: str, default: T_co, *, value: str = "", read: Callable[[str], Any] = str,
        many: bool = False, words: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.names = names.split()
        self.text = text
        self.default = default
        self.value = value
        self.many = many
        self.words = tuple(read.words if isinstance(read, WordReader) else words)
        self._read = read

    def read(self, name: str, text: str) -> Any:
        """Read the text given for one of the flag's names. Raises FlagError."""
        if not self.value:
            if text not in _TRUE | _FALSE:
                raise FlagError(f'invalid boolean value "{text}" for -{name}: parse error')
            return text in _TRUE
        try:
            return self._read(text)
        except ValueError as problem:
            raise FlagError(f'invalid value "{text}" for flag -{name}: {problem}') from problem


class Given:
    """The flags and arguments of a command line."""

    def __init__(self) -> None:
        self.arguments: tuple[str, ...] = ()
        self._values: dict[int, Any] = {}

    def __getitem__(self, flag: Flag[T]) -> T:
        """Return the value given last for a flag, all of them for one that may be repeated, or its default."""
        return cast(T, self._values.get(id(flag), flag.default))

    def has(self, flag: Flag[Any]) -> bool:
        """Return whether the command line has this flag."""
        return id(flag) in self._values

    def put(self, flag: Flag[Any], name: str, text: str) -> None:
        """Take a value for a flag. Raises FlagError."""
        value = flag.read(name, text)
        self._values[id(flag)] = (*self._values.get(id(flag), ()), value) if flag.many else value


def read(arguments: Sequence[str], flags: Collection[Flag[Any]], *, is_command: bool) -> Given:
    """Read a command line. Raises FlagError and HelpAsked.

    As in Go, the server's flags end at the first argument that is not one; those of a command may follow its arguments.
    """
    by_name = {name: flag for flag in flags for name in flag.names}
    given = Given()
    left, others = list(arguments), []
    while left:
        word = left.pop(0)
        if len(word) < 2 or word[0] != "-":
            others.append(word)
            if not is_command:
                break
        elif word == "--":
            break
        else:
            name, has_value, value = _split(word, by_name, is_command=is_command)
            flag = by_name[name]
            if flag.value and not has_value:
                if not left:
                    raise FlagError(f"flag needs an argument: -{name}")
                value = left.pop(0)
            given.put(flag, name, value if has_value or flag.value else "true")
    given.arguments = (*others, *left)
    return given


def _split(word: str, by_name: dict[str, Flag[Any]], *, is_command: bool) -> tuple[str, bool, str]:
    """Split a flag into its name, whether it has a value after `=`, and that value. Raises FlagError and HelpAsked."""
    body = word[2:] if word.startswith("--") else word[1:]
    if body[:1] in ("", "-", "="):
        raise FlagError(f"bad flag syntax: {word}")
    name, equals, value = body.partition("=")
    if name in by_name:
        return name, bool(equals), value
    if name in ("h", "help"):
        raise HelpAsked
    if is_command and word[1] != "-" and body[0] in by_name and by_name[body[0]].value:
        return body[0], True, body[1:]
    near = nearest(name, by_name)
    hint = "" if near is None else f"; did you mean {dashed(near, is_command=is_command)}?"
    raise FlagError(f"flag provided but not defined: -{name}{hint}")


def dashed(name: str, *, is_command: bool) -> str:
    """Write a flag as the help shows it: with one dash, a long one of a command with two."""
    return f"--{name}" if is_command and len(name) > 1 else f"-{name}"


def port(text: str) -> int:
    """Read a port. Raises ValueError; CoreDNS accepts any text here and fails when it listens."""
    return number(0, MAX_PORT, f"not a port from 0 to {MAX_PORT}")(text)


def number(low: int, high: int, otherwise: str) -> Callable[[str], int]:
    """Make a reader of whole numbers in a range; its ValueError has the text `otherwise`."""

    def read_number(text: str) -> int:
        is_number = text.isascii() and text.isdigit() and len(text) <= len(str(high))
        if not is_number or not low <= int(text) <= high:
            raise ValueError(otherwise)
        return int(text)

    return read_number


class WordReader:
    """A reader of one of a few words."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(map(str, words))

    def __call__(self, text: str) -> str:
        if text not in self.words:
            raise ValueError(f"expected {', '.join(self.words[:-1])} or {self.words[-1]}")
        return text


def choice(*words: str) -> WordReader:
    """Make a reader of one of these words."""
    return WordReader(words)
