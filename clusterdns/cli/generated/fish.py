"""The completion script of fish: one `complete` for each command, flag and argument."""

from collections.abc import Iterator, Sequence
from typing import Any

from clusterdns.cli.flags import Flag
from clusterdns.cli.generated.pages import CommandPage, Values, values_of

_HEAD = r"""# fish completion of @PROGRAM@; load it with: @PROGRAM@ completion fish | source

# Succeed where the line has no word after the program yet.
function _@NAME@_begins
    test (count (commandline -opc)) -eq 1
end

# Succeed where the line is one of command $argv[1].
function _@NAME@_in
    set -l words (commandline -opc)
    set -l command @DEFAULT@
    if set -q words[2]; and not string match -q -- '-*' $words[2]
        set command $words[2]
    end
    test "$command" = $argv[1]
end

complete -c @PROGRAM@ -e
complete -c @PROGRAM@ -f
"""


def script(program: str, function: str, commands: Sequence[CommandPage], default: str) -> str:
    """Write the script for a program; `default` is the command of a line that begins with a flag."""
    head = _HEAD.replace("@PROGRAM@", program).replace("@NAME@", function).replace("@DEFAULT@", _quoted(default))
    begin = f"complete -c {program} -n _{function}_begins -a"
    lines = [f"{begin} {_quoted(one.name)} -d {_quoted(one.summary)}" for one in commands]
    for one in commands:
        start = f"complete -c {program} -n {_quoted(f'_{function}_in {one.name}')}"
        lines += [f"{start} {_flag(one, flag)}" for flag in one.flags]
        lines += [f"{start} {argument}" for argument in _arguments(one)]
    return "\n".join([head, *lines, ""])


def _flag(command: CommandPage, flag: Flag[Any]) -> str:
    """Write the options of `complete` for a flag: -o is a whole flag with one dash, after -s a value may follow."""
    short, long = ("-s", "-l") if command.help.is_command else ("-o", "-o")
    names = " ".join(f"{short if len(name) == 1 else long} {name}" for name in flag.names)
    value = f" -r {_values(values_of(flag))}" if flag.value else ""
    return f"{names}{value} -d {_quoted(flag.text)}"


def _arguments(command: CommandPage) -> Iterator[str]:
    for parameter in command.parameters:
        values = parameter.values
        if values.words or values.is_file or values.is_folder:
            yield _values(values)


def _values(values: Values) -> str:
    if values.words:
        return f"-f -a {_quoted(' '.join(values.words))}"
    if values.is_folder:
        return "-f -a '(__fish_complete_directories)'"
    return "-F" if values.is_file else "-f"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
