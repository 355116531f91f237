"""The command `config [FILE]`: the effective Corefile, each line with its origin.

What is printed can be loaded again, and is the same configuration. The plugins are not asked: `check` does that.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from clusterdns.cli.check.reading import effective_corefile, named
from clusterdns.cli.check.report import error_tree, print_problems, warning_tree
from clusterdns.cli.colour import DIM, painted
from clusterdns.cli.config.origins import blocks_tree, with_origins
from clusterdns.cli.config.writing import written_lines
from clusterdns.cli.flags import Flag, FlagError, Given
from clusterdns.cli.output import for_output, write_text
from clusterdns.cli.serve import DEFAULT_FILE
from clusterdns.cli.usage import EXIT_FAILED, CommandHelp, read_command, wrong
from clusterdns.corefile.errors import CorefileError, CorefileErrors, CorefileWarning, ErrorList
from clusterdns.corefile.load import Corefile

CONF = Flag("conf", "The Corefile, as for the server; the same as FILE.", "", value="COREFILE")
AS_JSON = Flag("json", "Print one JSON object: ok, blocks, errors, warnings.", False)
NO_ORIGIN = Flag("no-origin", "Leave out the comments with file and line.", False)
HIDE_ENV = Flag("hide-env", "Leave {$NAME} as it is, so that no value of a variable is shown.", False)
FLAGS: tuple[Flag[Any], ...] = (CONF, AS_JSON, NO_ORIGIN, HIDE_ENV)
ABOUT = """Print the effective Corefile: imports, snippets and variables replaced, each line with its origin.

FILE is a Corefile, or a ConfigMap with one, as for 'check'; '-' is standard input, and the default is ./Corefile. The
comment behind a line has its file and line, and 'via' the imports by which it is read. What is printed can be loaded,
and is the same configuration. The values of variables are shown, secrets among them; --hide-env leaves them out. Errors
and warnings go to standard error. Exit code 1: the Corefile has errors; 2: the command line is wrong.

Examples:
  config Corefile
  config --conf Corefile --no-origin --hide-env          to share it
  config Corefile --json | jq -r '.blocks[].zones[]'
  kubectl -n kube-system get configmap coredns coredns-custom -o yaml | clusterdns config -"""
HELP = CommandHelp("config [FILE] [FLAGS]", ABOUT, FLAGS)


def main(program: str, arguments: Sequence[str]) -> int:
    """Print the effective Corefile; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    try:
        name = _name(given)
    except FlagError as error:
        return wrong(f"{program} config", str(error))
    errors = ErrorList()
    warnings: Sequence[CorefileWarning] = ()
    try:
        corefile = effective_corefile(name, errors)
        warnings = corefile.warnings
        errors.raise_if_any()
        text = _json(name, corefile, given) if given[AS_JSON] else _text(corefile, given)
    except CorefileError as error:
        return _failed(name, warnings, CorefileErrors((error,)), given)
    except CorefileErrors as several:
        return _failed(name, warnings, several, given)
    if not given[AS_JSON]:
        print_problems(warnings, ())
    return write_text(text)


def _name(given: Given) -> str:
    """Return the file to read. Raises FlagError."""
    names = [*given.arguments, *filter(None, [given[CONF]])]
    if len(names) > 1:
        raise FlagError(f"{len(names)} files, {' and '.join(names)}; name one")
    if not names and not os.path.lexists(DEFAULT_FILE):
        raise FlagError("there is no ./Corefile; name a FILE, or '-' for standard input")
    return named(names[0] if names else DEFAULT_FILE)


def _text(corefile: Corefile, given: Given) -> str:
    """Write the Corefile. Raises CorefileError for a word that cannot be written."""
    lines = written_lines(corefile.blocks, hides_env=given[HIDE_ENV])
    if given[NO_ORIGIN]:
        return "".join(f"{for_output(line.text)}\n" for line in lines)
    commented = ((for_output(text), comment) for text, comment in with_origins(lines))
    return "".join(f"{text}{painted(comment, DIM, comment, sys.stdout)}\n" for text, comment in commented)


def _json(name: str, corefile: Corefile, given: Given) -> str:
    blocks = blocks_tree(corefile.blocks, hides_env=given[HIDE_ENV])
    return _document(name, blocks, corefile.warnings, CorefileErrors(()))


def _failed(name: str, warnings: Sequence[CorefileWarning], errors: CorefileErrors, given: Given) -> int:
    """Report errors in the form that is asked for; returns the exit code."""
    if given[AS_JSON]:
        write_text(_document(name, [], warnings, errors))
    else:
        print_problems(warnings, errors.errors, errors.left_out)
    return EXIT_FAILED


def _document(
    name: str, blocks: list[dict[str, Any]], warnings: Sequence[CorefileWarning], errors: CorefileErrors
) -> str:
    return json.dumps({
        "file": name,
        "ok": not errors.errors,
        "errors": list(map(error_tree, errors.errors)),
        "errors_left_out": errors.left_out,
        "warnings": list(map(warning_tree, warnings)),
        "blocks": blocks,
    }, indent=2) + "\n"  # fmt: skip
