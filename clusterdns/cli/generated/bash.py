"""The completion script of bash, from version 3.2 on.

readline splits words at `=`, so that `--output=json` arrives as three words.
"""

from collections.abc import Iterator, Sequence
from shlex import quote

from clusterdns.cli.generated.pages import CommandPage, Values, filled, values_of

_SCRIPT = r"""# bash completion of @PROGRAM@; load it with: source <(@PROGRAM@ completion bash)

# Print the commands, each with its summary.
@NAME@_commands() {
    printf '%s\n' @COMMANDS@
}

# Set flags to the flags of command $1.
@NAME@_flags() {
    case $1 in
@FLAGS@
    *) flags= ;;
    esac
}

# Set kind to what follows flag $2 of command $1: file, folder, any, or words; fails where it is a switch.
@NAME@_value() {
    case $1:$2 in
@VALUES@
    *) return 1 ;;
    esac
}

# Set kind to what argument number $2 of command $1 is.
@NAME@_argument() {
    case $1:$2 in
@ARGUMENTS@
    *) kind=any ;;
    esac
}

# Fill COMPREPLY with the lines of standard input.
@NAME@_reply() {
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done
}

# Complete word $2 as kind $1.
@NAME@_complete() {
    case $1 in
    any) ;;
    file | folder)
        compopt -o filenames 2>/dev/null  # bash 3.2 has none, and completes names without a final slash
        if [[ $1 == file ]]; then @NAME@_reply < <(compgen -f -- "$2"); else @NAME@_reply < <(compgen -d -- "$2"); fi
        ;;
    *) @NAME@_reply < <(compgen -W "$1" -- "$2") ;;
    esac
}

# Complete the name of a command; a list on the screen (COMP_TYPE 63) has the summaries too.
@NAME@_command() {
    local line
    while IFS= read -r line; do
        [[ ${line%% *} == "$1"* ]] || continue
        if [[ ${COMP_TYPE-} == 63 ]]; then COMPREPLY+=("$line"); else COMPREPLY+=("${line%% *}"); fi
    done < <(@NAME@_commands)
    if [[ ${#COMPREPLY[@]} -eq 1 ]]; then COMPREPLY=("${COMPREPLY[0]%% *}"); fi
}

@NAME@() {
    local word=${COMP_WORDS[COMP_CWORD]} command=@DEFAULT@ first=1 position=1 due= kind= flags= at token
    COMPREPLY=()
    if [[ $COMP_CWORD -eq 1 && $word != -* ]]; then
        @NAME@_command "$word"
        return
    fi
    if [[ ${COMP_WORDS[1]} != -* ]]; then
        command=${COMP_WORDS[1]} first=2
    fi
    for ((at = first; at < COMP_CWORD; at++)); do
        token=${COMP_WORDS[at]}
        if [[ $token == = ]]; then
            due=${due:-=}  # a switch may have a value too: -quiet=false
        elif [[ -n $due ]]; then
            due=
        elif [[ $token == -?* ]]; then
            token=${token#-} token=${token#-}
            if [[ $token != *=* ]] && @NAME@_value "$command" "$token"; then due=$token; fi
        else
            position=$((position + 1))
        fi
    done
    if [[ $word == = ]]; then
        word= due=${due:-=}
    fi
    if [[ $due == = ]]; then
        kind='true false'
    elif [[ -n $due ]]; then
        @NAME@_value "$command" "$due"
    elif [[ $word == -* ]]; then
        @NAME@_flags "$command"
        kind=${flags:-any}
    else
        @NAME@_argument "$command" "$position"
    fi
    @NAME@_complete "$kind" "$word"
}

complete -F @NAME@ @PROGRAM@
"""


def script(program: str, function: str, commands: Sequence[CommandPage], default: str) -> str:
    """Write the script for a program; `default` is the command of a line that begins with a flag."""
    width = max(len(one.name) for one in commands)
    parts = {
        "COMMANDS": " ".join(f"\\\n        {quote(f'{one.name:{width}}  ({one.summary})')}" for one in commands),
        "FLAGS": "\n".join(f"    {one.name}) flags={quote(' '.join(_names(one)))} ;;" for one in commands),
        "VALUES": "\n".join(line for one in commands for line in _values(one)),
        "ARGUMENTS": "\n".join(line for one in commands for line in _arguments(one)),
        "DEFAULT": quote(default),
        "PROGRAM": program,
        "NAME": function,
    }
    return filled(_SCRIPT, parts)


def _names(command: CommandPage) -> Iterator[str]:
    return (command.dashed(name) for flag in command.flags for name in flag.names)


def _values(command: CommandPage) -> Iterator[str]:
    for flag in command.flags:
        if flag.value:
            pattern = " | ".join(f"{command.name}:{name}" for name in flag.names)
            yield f"    {pattern}) kind={quote(_kind(values_of(flag)))} ;;"


def _arguments(command: CommandPage) -> Iterator[str]:
    for number, parameter in enumerate(command.parameters, 1):
        position = "*" if parameter.is_repeated else str(number)
        yield f"    {command.name}:{position}) kind={quote(_kind(parameter.values))} ;;"


def _kind(values: Values) -> str:
    if values.words:
        return " ".join(values.words)
    return "file" if values.is_file else "folder" if values.is_folder else "any"
