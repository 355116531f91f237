"""The completion script of zsh: a function for its completion system, made of `_describe` and `_arguments`."""

from collections.abc import Iterator, Sequence
from typing import Any

from clusterdns.cli.flags import Flag
from clusterdns.cli.generated.pages import CommandPage, Parameter, Values, filled, values_of

_SCRIPT = r"""#compdef @PROGRAM@
# zsh completion of @PROGRAM@; load it with: source <(@PROGRAM@ completion zsh)

@NAME@() {
    local command=@DEFAULT@
    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
        local -a commands=(
@COMMANDS@
        )
        _describe -t commands command commands
        return
    fi
    if [[ $words[2] != -* ]]; then
        command=$words[2]
        shift words
        (( CURRENT-- ))
    fi
    case $command in
@CASES@
    esac
}

if [[ $funcstack[1] == @NAME@ ]]; then
    @NAME@ "$@"
else
    compdef @NAME@ @PROGRAM@
fi
"""


def script(program: str, function: str, commands: Sequence[CommandPage], default: str) -> str:
    """Write the script for a program; `default` is the command of a line that begins with a flag."""
    parts = {
        "COMMANDS": "\n".join(f"            {_quoted(f'{one.name}:{one.summary}')}" for one in commands),
        "CASES": "\n".join(_case(one) for one in commands),
        "DEFAULT": _quoted(default),
        "PROGRAM": program,
        "NAME": function,
    }
    return filled(_SCRIPT, parts)


def _case(command: CommandPage) -> str:
    specs = [spec for flag in command.flags for spec in _flag(command, flag)]
    specs += [_argument(number, parameter) for number, parameter in enumerate(command.parameters, 1)]
    lines = " \\\n".join(f"            {_quoted(spec)}" for spec in specs)
    return f"    {command.name})\n        _arguments \\\n{lines}\n        ;;"


def _flag(command: CommandPage, flag: Flag[Any]) -> Iterator[str]:
    """Yield a specification for each name of a flag; one that may not be repeated excludes the others."""
    names = [command.dashed(name) for name in flag.names]
    before = "*" if flag.many else f"({' '.join(names)})" if len(names) > 1 else ""
    text = flag.text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    for name, written in zip(flag.names, names, strict=True):
        if flag.value:
            sign = "+" if len(name) == 1 else "="  # -ofile as well as -o file; --output=file as well as --output file
            yield f"{before}{written}{sign}[{text}]:{_escaped(flag.value)}:{_action(values_of(flag))}"
        else:
            yield f"{before}{written}[{text}]"


def _argument(number: int, parameter: Parameter) -> str:
    position = "*" if parameter.is_repeated else str(number)
    return f"{position}:{_escaped(parameter.name)}:{_action(parameter.values)}"


def _action(values: Values) -> str:
    """Write how zsh completes a value; a blank completes nothing, and shows the message."""
    if values.words:
        return f"({' '.join(values.words)})"
    return "_files" if values.is_file else "_files -/" if values.is_folder else " "


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
