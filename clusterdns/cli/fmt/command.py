"""The command `fmt [FILE]...`: it lays out Corefiles, and prints, compares or replaces them.

A file with a mistake is reported and left as it is.
"""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from typing import Any

from clusterdns.cli.check import configmap, source
from clusterdns.cli.check.reading import named
from clusterdns.cli.check.report import print_problems
from clusterdns.cli.colour import BOLD, GREEN, RED, painted
from clusterdns.cli.flags import Flag, FlagError, Given
from clusterdns.cli.fmt.layout import laid_out
from clusterdns.cli.fmt.syntax import check_structure, loads
from clusterdns.cli.output import for_output, write_text
from clusterdns.cli.usage import EXIT_FAILED, EXIT_OK, CommandHelp, read_command, wrong
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.corefile.lexer import lex
from clusterdns.corefile.load import STDIN
from clusterdns.host.disk.atomic_file import AtomicFile
from clusterdns.telemetry.printable import one_line

WRITE = Flag("write w", "Replace each FILE that differs, in place of printing it.", False)
CHECK = Flag("check", "Print only the names of those that differ; exit code 1 if there are any.", False)
DIFF = Flag("diff d", "Print the differences (unified diff) in place of the text.", False)
FLAGS: tuple[Flag[Any], ...] = (WRITE, CHECK, DIFF)
ABOUT = """Format Corefiles: four spaces for each open brace, one space between words, at most one blank line.

FILE is a Corefile, a file that one imports, or YAML with ConfigMaps, whose Corefiles are formatted; '-', or no FILE, is
standard input. Words, quotes, variables and comments are kept as they are, and so is what the Corefile means. A file
with a misplaced brace is reported with its line, and is not changed. Exit code 0: done. 1: a file has a mistake or
cannot be read, or differs with --check. 2: the command line is wrong.

Examples:
  fmt Corefile                          print it formatted
  fmt -w Corefile custom/*.override     replace files
  fmt --check --diff configmap.yaml     for CI: what is to change
  kubectl -n kube-system get configmap coredns -o yaml | clusterdns fmt"""
HELP = CommandHelp("fmt [FILE]... [FLAGS]", ABOUT, FLAGS)


def main(program: str, arguments: Sequence[str]) -> int:
    """Format the files that the arguments name; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    try:
        names = _names(given)
    except FlagError as error:
        return wrong(f"{program} fmt", str(error))
    return max([_format(name, given) for name in names])


def _names(given: Given) -> list[str]:
    """Return the files to format. Raises FlagError."""
    names = [named(path) for path in given.arguments or ("-",)]
    if given[WRITE] and given[CHECK]:
        raise FlagError("--check changes nothing; leave out --write")
    if given[WRITE] and STDIN in names:
        raise FlagError("--write needs a FILE; standard input is printed")
    return names


def _format(name: str, given: Given) -> int:
    """Format one file, and do with it what the flags say; returns the exit code."""
    try:
        content = source.read_bytes(name)
        before = content.decode("utf-8", "surrogateescape")
        after = formatted(before, name)
        if given[WRITE] and after != before:
            _replace(name, after.encode("utf-8", "surrogateescape"))
    except CorefileError as error:
        print_problems((), [error])
        return EXIT_FAILED
    except CorefileErrors as several:
        print_problems((), several.errors, several.left_out)
        return EXIT_FAILED
    if given[CHECK] and after != before:
        print(one_line(name), flush=True)
    if given[DIFF]:
        written = write_text("".join(_difference(before, after, name)))
    elif given[WRITE] or given[CHECK]:
        written = EXIT_OK
    else:
        written = write_text(for_output(after))
    return EXIT_FAILED if given[CHECK] and after != before else written


def formatted(text: str, name: str) -> str:
    """Return the text in the usual layout. Raises CorefileError, and CorefileErrors for several mistakes."""
    if not loads(text, name) and lex(text, name).lines:
        source.refuse_other_formats(text.encode("utf-8", "surrogateescape"), name)
        if (documents := source.documents_of(text, name)) is not None:
            from clusterdns.cli.fmt.manifest import laid_out_manifest  # YAML is slow to import

            if (found := laid_out_manifest(text, name)) is not None:
                return found
            configmap.files_of(documents, name)  # raises, where there are ConfigMaps
            raise source.not_a_corefile(documents, name)
        check_structure(text, name)
    return laid_out(text)


def _replace(name: str, content: bytes) -> None:
    """Replace the content of a file, and keep its mode. Raises CorefileError."""
    path = os.path.realpath(name)  # a link stays one
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise CorefileError(name, 0, "is not a regular file, which --write could replace", "leave out --write")
        with AtomicFile(path, stat.S_IMODE(found.st_mode)) as file:
            file.write(content)
            file.commit()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CorefileError(name, 0, f"cannot be written: {reason}", "its folder must be writable too") from error


def _difference(before: str, after: str, name: str) -> Iterator[str]:
    """Yield the lines of a unified diff; empty where there is no difference."""
    for line in unified_diff(_lines(before), _lines(after), one_line(name), one_line(name), n=3):
        colour = {"-": RED, "+": GREEN}.get(line[0], "")
        if line.startswith(("--- ", "+++ ", "@@")):
            colour = BOLD
        body = for_output(line.removesuffix("\n"))
        yield painted(body, colour, body, sys.stdout) if colour else body
        yield "\n" if line.endswith("\n") else "\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Split a text behind each newline, and nowhere else."""
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, last] if last else lines
