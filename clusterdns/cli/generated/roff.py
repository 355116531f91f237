"""The man page of a command in roff, with the macros of man(7).

The text of `--help` is divided into the page's sections: its examples and exit codes have sections of their own.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import clusterdns
from clusterdns.cli.flags import Flag
from clusterdns.cli.generated.pages import CommandPage

_ESCAPES = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", '"': "\\(dq"}
_EXIT = re.compile(r"\bExit code (.*?)(?=\n\n|\Z)", re.DOTALL)
_EXAMPLES = re.compile(r"^Examples:\n((?:  .*\n?)+)", re.MULTILINE)
_ANY_EXIT = "0: success. 2: the command line is wrong."


class Sections(NamedTuple):
    """The parts of a command's text."""

    description: str
    examples: str
    exit_status: str


def sections(about: str) -> Sections:
    """Divide the text of a command."""
    examples = _EXAMPLES.search(about)
    rest = _EXAMPLES.sub("", about)
    status = _EXIT.search(rest)
    return Sections(
        _EXIT.sub("", rest).strip(), examples[1].rstrip() if examples else "", status[1] if status else _ANY_EXIT
    )


def escaped(text: str) -> str:
    """Escape a text of one line: for roff a backslash, a dash, some quotes and a leading dot are instructions."""
    found = "".join(_ESCAPES.get(char, char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text)
    return f"\\&{found}" if found.startswith(".") else found


def command_page(program: str, command: CommandPage, others: Iterable[CommandPage]) -> str:
    """Write the page of one command."""
    text = sections(command.help.about)
    return _page(f"{program}-{command.name}", command.summary, [
        ("SYNOPSIS", [_synopsis(program, command.help.usage)]),
        ("DESCRIPTION", list(_paragraphs(text.description))),
        ("OPTIONS", list(_options(command))),
        ("EXAMPLES", list(_block(_called(program, command.name, text.examples)))),
        ("EXIT STATUS", list(_paragraphs(text.exit_status))),
        ("SEE ALSO", [_see_also([program, *(f"{program}-{one.name}" for one in others if one.name != command.name)])]),
    ])  # fmt: skip


def program_page(program: str, commands: Sequence[CommandPage], server: CommandPage) -> str:
    """Write the page of the program; its flags are the server's."""
    text = sections(server.help.about)
    rows = [line for one in commands for line in _entry(f"\\fB{escaped(one.name)}\\fR", f"{one.summary}.")]
    return _page(program, "DNS server of a Kubernetes cluster", [
        ("SYNOPSIS", [_synopsis(program, "-conf COREFILE [FLAGS]"), ".br", _synopsis(program, "COMMAND [FLAGS]")]),
        ("DESCRIPTION", list(_paragraphs(
            "The DNS server of a Kubernetes cluster, a drop-in replacement for CoreDNS. With flags and no command it"
            f" serves. Each command has a page of its own, such as {program}-check(1)."
        ))),
        ("COMMANDS", rows),
        ("OPTIONS", list(_options(server))),
        ("EXAMPLES", list(_block(text.examples))),
        ("EXIT STATUS", list(_paragraphs(text.exit_status))),
        ("SEE ALSO", [_see_also([f"{program}-{one.name}" for one in commands])]),
    ])  # fmt: skip


def _page(title: str, summary: str, parts: Iterable[tuple[str, list[str]]]) -> str:
    version = escaped(f"clusterdns {clusterdns.__version__}")
    lines = [f'.TH {escaped(title.upper())} 1 "" "{version}" "User Commands"', ".nh", ".ad l"]
    for heading, text in [("NAME", [f"{escaped(title)} \\- {escaped(summary)}"]), *parts]:
        if text:
            lines += [f'.SH "{heading}"', *text]
    return "\n".join([*lines, ""])


def _synopsis(program: str, usage: str) -> str:
    first, _, rest = usage.partition(" ")
    return f"\\fB{escaped(f'{program} {first}')}\\fR {escaped(rest)}".rstrip()


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the lines of a text: paragraphs are filled, indented lines are kept as they are."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        for part in re.findall(r"(?:^  .*\n?)+|(?:^(?!  ).*\n?)+", paragraph, re.MULTILINE):
            if part.startswith("  "):
                yield from _block(part.rstrip())
            else:
                yield from map(escaped, part.splitlines())


def _block(text: str) -> Iterator[str]:
    """Yield lines that are not filled."""
    if not text:
        return
    yield from (".RS 4", ".nf")
    yield from (escaped(line[2:]) for line in text.splitlines())
    yield from (".fi", ".RE")


def _called(program: str, name: str, examples: str) -> str:
    """Begin examples with the program, which `--help` leaves out."""
    return re.sub(rf"^  {name}(?= |$)", f"  {program} {name}", examples, flags=re.MULTILINE)


def _options(command: CommandPage) -> Iterator[str]:
    for flag in command.flags:
        yield from _entry(_written(command, flag), flag.text)


def _written(command: CommandPage, flag: Flag[Any]) -> str:
    names = ", ".join(f"\\fB{escaped(command.dashed(name))}\\fR" for name in flag.names)
    return f"{names} \\fI{escaped(flag.value)}\\fR" if flag.value else names


def _entry(heading: str, text: str) -> list[str]:
    return [".TP", heading, escaped(text)]


def _see_also(names: Iterable[str]) -> str:
    return ",\n".join(f"\\fB{escaped(name)}\\fR(1)" for name in names)
