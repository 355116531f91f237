"""Reading a whole Corefile: a path, a text or files in memory in, server blocks out.

With an error list given, every mistake is added to it and the rest of the Corefile is returned, so that the caller can
look for more mistakes and report all of them together. Without one, errors are raised here.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from os.path import normpath
from typing import BinaryIO, TextIO

import msgspec

from clusterdns.corefile.directive import ServerBlock
from clusterdns.corefile.errors import CorefileError, CorefileWarning, ErrorList
from clusterdns.corefile.files import Files, FilesInMemory
from clusterdns.corefile.imports import Statements
from clusterdns.corefile.lexer import Lexed
from clusterdns.corefile.parser import KEY_HINT, NO_KEY, parse_statements

STDIN = "stdin"  # the path that means standard input, as in CoreDNS


class Corefile(msgspec.Struct, frozen=True):
    """A configuration as read from its files."""

    blocks: tuple[ServerBlock, ...]
    warnings: tuple[CorefileWarning, ...]
    files: tuple[tuple[str, bytes], ...] = ()  # path and content, the main file first

    @property
    def sha512(self) -> str:
        """The hash of all files read, paths and contents, by which a changed Corefile is recognised."""
        digest = hashlib.sha512()
        for path, content in self.files:
            for part in (os.fsencode(path), content):
                digest.update(len(part).to_bytes(8, "big"))
                digest.update(part)
        return digest.hexdigest()


def load(
    path: str, *, stdin: TextIO | None = None, environ: Mapping[str, str], errors: ErrorList | None = None
) -> Corefile:
    """Read the Corefile at this path; the path `stdin` reads the stream, where one is given.

    A path that cannot be read is an error; a default for a missing file is up to the caller. Raises CorefileErrors
    unless `errors` is given.
    """
    warnings: list[CorefileWarning] = []
    files = Files(warnings)
    found = ErrorList() if errors is None else errors
    lexed = None
    with found.collect():
        if path == STDIN and stdin is not None:
            lexed = files.take(_standard_input(stdin), path)
        else:
            lexed = files.read_main(path)
    return _finish(lexed, path, files, environ, found, warnings, must_raise=errors is None)


def parse(text: str, file: str, environ: Mapping[str, str], *, errors: ErrorList | None = None) -> Corefile:
    """Parse a text as the content of `file`, to which imports are relative. Errors as for `load`."""
    warnings: list[CorefileWarning] = []
    files = Files(warnings)
    found = ErrorList() if errors is None else errors
    lexed = None
    with found.collect():
        lexed = files.take(text.encode("utf-8", "surrogatepass"), file)
    return _finish(lexed, file, files, environ, found, warnings, must_raise=errors is None)


def load_from_memory(
    contents: Mapping[str, bytes], environ: Mapping[str, str], *, errors: ErrorList | None = None
) -> Corefile:
    """Parse files whose contents are given by path, the first of them the main one. Errors as for `load`."""
    warnings: list[CorefileWarning] = []
    files = FilesInMemory(warnings, contents)
    found = ErrorList() if errors is None else errors
    main = next(iter(contents))
    lexed = None
    with found.collect():
        lexed = files.take(contents[main], main)
    return _finish(lexed, main, files, environ, found, warnings, must_raise=errors is None)


def _standard_input(stdin: TextIO) -> bytes:
    raw: BinaryIO | None = getattr(stdin, "buffer", None)
    return stdin.read().encode("utf-8", "surrogatepass") if raw is None else raw.read()


def _nothing_served(file: str, warnings: Sequence[CorefileWarning]) -> CorefileError:
    """Make the error of a Corefile without a server block that has a key."""
    keyless = next((one for one in warnings if one.text.startswith(NO_KEY)), None)
    if keyless is not None:
        return CorefileError(keyless.file, keyless.line, NO_KEY, KEY_HINT)
    hint = "write at least one, such as '. {', or start without -conf for the built-in one"
    return CorefileError(file, 1, "this Corefile has no server block", hint)


def _finish(
    lexed: Lexed | None,
    file: str,
    files: Files,
    environ: Mapping[str, str],
    errors: ErrorList,
    warnings: list[CorefileWarning],
    *,
    must_raise: bool,
) -> Corefile:
    blocks: tuple[ServerBlock, ...] = ()
    if lexed is not None:
        count = len(errors.errors)
        statements = Statements(files, environ, errors, warnings)
        statements.open(lexed, normpath(file))
        blocks = parse_statements(statements, environ, errors, warnings)
        if not blocks and len(errors.errors) == count:
            errors.add(_nothing_served(file, warnings))
    if must_raise:
        errors.raise_if_any()
    return Corefile(blocks, tuple(dict.fromkeys(warnings)), tuple(files.contents.items()))
