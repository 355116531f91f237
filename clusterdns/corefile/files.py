"""The files of a Corefile: each is read and lexed once, and its content kept by path.

`imports` decides which file is read where; statements are not known here.
"""

import errno
import fnmatch
import glob
import os
from collections.abc import Mapping
from typing import NamedTuple

from clusterdns.corefile.errors import CorefileError, CorefileWarning
from clusterdns.corefile.lexer import TOO_LARGE_HINT, Lexed, Token, lex
from clusterdns.host.files import open_file, read_file_or_pipe

MAX_FILE_BYTES = 16 << 20  # a ConfigMap holds 1 MiB at most
MAIN_FILE_HINT = "name an existing, readable Corefile with -conf"


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
        lexed = lex(_decoded(content, file), file)
        if lexed.unclosed is not None:
            text = "the quote opened here is never closed, so it runs to the end of the file; close it with '\"'"
            self._warnings.append(CorefileWarning(file, lexed.unclosed.line, text))
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


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorefileError(file, line, f"byte {content[error.start]:#04x} is not UTF-8", "save it as UTF-8") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
