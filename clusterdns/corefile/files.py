"""The files of a Corefile: each is read and lexed once, and its content kept by path.

`imports` decides which file is read where; statements are not known here.
"""

import errno
import fnmatch
import glob
import os
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from clusterdns.corefile.errors import CorefileError, CorefileWarning
from clusterdns.corefile.lexer import TOO_LARGE_HINT, Lexed, Token, lex
from clusterdns.host.files import open_file, read_file_or_pipe

MAX_FILE_BYTES = 16 << 20  # a ConfigMap holds 1 MiB at most
REPLACEMENT = "\ufffd"  # CoreDNS reads each byte that is not UTF-8 as this character
MAIN_FILE_HINT = "name an existing, readable Corefile with -conf"

_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class ImportPattern(NamedTuple):
    """The argument of an import: a path or a glob, and the folder that it is relative to."""

    folder: str
    text: str

    @property
    def is_glob(self) -> bool:
        """Whether the text has wildcards; then it is not an error that no file matches."""
        return "*" in self.text or "?" in self.text

    def matches(self) -> list[str]:
        """Find the files, sorted. As in Go `*` matches within one folder, files with a leading dot included."""
        if self.is_glob:
            pattern = os.path.join(glob.escape(self.folder), self.text)
            return sorted(map(os.path.normpath, glob.iglob(pattern, include_hidden=True)))
        path = os.path.normpath(os.path.join(self.folder, self.text))
        return [path] if os.path.lexists(path) else []


class Files:
    """The files read for one configuration."""

    def __init__(self, warnings: list[CorefileWarning]) -> None:
        self.contents: dict[str, bytes] = {}  # by path, in the order of reading
        self._imported: dict[str, Lexed] = {}
        self._warnings = warnings

    def take(self, content: bytes, file: str) -> Lexed:
        """Keep and lex the content of a file. Raises CorefileError."""
        self.contents[file] = content
        if len(content) > MAX_FILE_BYTES:
            raise CorefileError(file, 1, f"larger than {MAX_FILE_BYTES >> 20} MiB", TOO_LARGE_HINT)
        text = content.decode("utf-8", "surrogateescape")
        is_utf8 = _NOT_UTF8.search(text) is None
        lexed = lex(text if is_utf8 else _NOT_UTF8.sub(REPLACEMENT, text), file)
        self._warnings += _warnings(lexed, file, is_utf8=is_utf8)
        return lexed

    def read_main(self, path: str) -> Lexed:
        """Read the main file. Raises CorefileError with line 0 where it cannot be read."""
        try:
            content = self._main_content(path)
        except OSError as error:
            raise CorefileError(path, 0, f"cannot be read: {_reason(error)}", MAIN_FILE_HINT) from error
        return self.take(content, path)

    def read_import(self, path: str, at: Token) -> Lexed:
        """Read an imported file. Raises CorefileError that points at `at`, the import's argument."""
        if (known := self._imported.get(path)) is not None:
            return known
        try:
            content = self._content(path)
        except IsADirectoryError as error:
            hint = "import its files instead, such as 'folder/*.override'; a mounted ConfigMap also holds '..data'"
            raise at.error(f"Could not import {path}: is a directory", hint) from error
        except OSError as error:
            raise at.error(f"Could not import {path}: {_reason(error)}", "make the file readable") from error
        lexed = self._imported[path] = self.take(content, path)
        return lexed

    def found(self, pattern: ImportPattern) -> list[str]:
        """Find the files that an import names, sorted."""
        return pattern.matches()

    def _main_content(self, path: str) -> bytes:
        """Read at most one byte more than allowed, so that /dev/zero ends. Raises OSError."""
        return read_file_or_pipe(path, MAX_FILE_BYTES + 1)

    def _content(self, path: str) -> bytes:
        """Read an imported file, bounded in the same way."""
        with open_file(path) as file:
            return file.read(MAX_FILE_BYTES + 1)


class FilesInMemory(Files):
    """Files whose contents are given, instead of those on disk."""

    def __init__(self, warnings: list[CorefileWarning], given: Mapping[str, bytes]) -> None:
        super().__init__(warnings)
        self._given = given

    def found(self, pattern: ImportPattern) -> list[str]:
        """Find the files among those given, by the rules of `ImportPattern.matches`."""
        wanted = os.path.normpath(os.path.join(pattern.folder, pattern.text)).split(os.sep)
        return sorted(path for path in self._given if _is_like(path.split(os.sep), wanted))

    def _content(self, path: str) -> bytes:
        if path not in self._given:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._given[path]


def _is_like(path: list[str], wanted: list[str]) -> bool:
    return len(path) == len(wanted) and all(map(fnmatch.fnmatchcase, path, wanted))


def import_pattern(argument: Token) -> ImportPattern:
    """Read an import's argument, relative to the file that contains it. Raises CorefileError."""
    pattern = argument.text
    if "\0" in pattern:
        raise argument.error(f"File to import not found: {argument}", "a file name cannot contain a NUL byte")
    if pattern.count("*") > 1 or pattern.count("?") > 1 or "[" in pattern:
        text = f"Glob pattern may only contain one wildcard (*), but has others: {argument}"
        raise argument.error(text, "import in several lines, each with one '*'")
    return ImportPattern(os.path.dirname(argument.file), pattern)


def _warnings(lexed: Lexed, file: str, *, is_utf8: bool) -> Iterator[CorefileWarning]:
    """Yield a warning for each word that a mistake has made what it is."""
    if not is_utf8:
        for token in (token for line in lexed.lines for token in line if REPLACEMENT in token.text):
            text = f"{token} has bytes that are not UTF-8, which are read as U+FFFD; save the file as UTF-8"
            yield CorefileWarning(file, token.line, text)
    for token in lexed.commented:
        text = f"the comment after {token} runs to the end of the line; CoreDNS reads the words after its first blank"
        yield CorefileWarning(file, token.line, f"{text}; put a blank before '#'")
    if lexed.unclosed is not None:
        text = "the quote opened here is never closed, so it runs to the end of the file; close it with '\"'"
        yield CorefileWarning(file, lexed.unclosed.line, text)


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
