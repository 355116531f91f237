"""Every `--help` has examples, each of which is a command line that the program reads without an error."""

import re
import shlex
from collections.abc import Iterator

import pytest

from clusterdns.cli.commands import COMMANDS, KUBECTL_COMMANDS, help_of
from clusterdns.cli.flags import read
from clusterdns.cli.generated.roff import sections
from clusterdns.cli.usage import CommandHelp, help_text

HELPS = [(row.name, help_of(row.name)) for row in COMMANDS]
EXAMPLES = [(name, line) for name, described in HELPS for line in sections(described.about).examples.splitlines()]
MAX_WIDTH = 120


def calls(name: str, example: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of the program in an example, its name and the remark behind it left out."""
    command = re.split(r"(?<=\S) {2,}(?=\S)", example.strip())[0]
    for number, part in enumerate(re.split(r" \| |<\(|\)", command)):
        words = shlex.split(part.partition(" > ")[0])
        if words[:1] == ["clusterdns"]:
            yield words[1:]
        elif words[:1] == [name] and not number:
            yield words


@pytest.mark.parametrize(("name", "described"), HELPS, ids=[name for name, _ in HELPS])
def test_each_help_has_examples(name: str, described: CommandHelp) -> None:
    lines = sections(described.about).examples.splitlines()
    assert lines, name
    assert "\n".join(["\nExamples:", *lines, "\nUsage:"]) in help_text("clusterdns", described)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[line.strip() for _, line in EXAMPLES])
def test_an_example_is_read_by_the_flags_of_its_command(name: str, example: str) -> None:
    found = list(calls(name, example))
    assert found, "it calls the program"
    for arguments in found:
        command = arguments[0] if arguments and not arguments[0].startswith("-") else "serve"
        described = dict(HELPS)[command]
        given = read(arguments[command != "serve" or arguments[:1] == ["serve"] :], described.flags,
                     is_command=described.is_command)  # fmt: skip
        allowed = described.usage.split()[1:]
        is_repeated = any("..." in word for word in allowed)
        assert is_repeated or len(given.arguments) <= len([word for word in allowed if word != "[FLAGS]"])
        assert len(given.arguments) >= len([word for word in allowed if not word.startswith("[")])


@pytest.mark.parametrize(("name", "described"), HELPS, ids=[name for name, _ in HELPS])
def test_a_help_fits_and_says_what_exit_codes_mean(name: str, described: CommandHelp) -> None:
    assert max(map(len, described.about.splitlines())) <= MAX_WIDTH
    if described.flags:
        assert "xit code" in described.about, name


def test_the_commands_of_the_kubectl_plugin_exist() -> None:
    assert set(KUBECTL_COMMANDS) <= {row.name for row in COMMANDS}
