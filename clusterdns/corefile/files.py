"""The files a Corefile is read from: each read and lexed once, and remembered by name.

Knows nothing of statements; `imports` decides which file is wanted where.
"""

import errno
import fnmatch
import glob
import os
from collections.abc import Mapping
from typing import NamedTuple

from clusterdns.corefile.errors import CorefileError, CorefileWarning
from clusterdns.corefile.lexer import Lexed, Token, lex
from clusterdns.host.files import open_file, read_file_or_pipe

MAX_FILE_BYTES = 16 << 20  # a ConfigMap holds 1 MiB at most
MAIN_FILE_HINT = "name an existing, readable Corefile with -conf"


class Pattern(NamedTuple):
    """What an import asks for: a path or a glob, and the folder it is relative to."""

    folder: str
    text: str

    @property
    def is_glob(self) -> bool:
        """Whether finding nothing is no error."""
        return "*" in self.text or "?" in self.text

    def matches(self) -> list[str]:
        """The files found, sorted. As in Go `*` stays within a folder and takes dot-files too."""
        if self.is_glob:
            pattern = os.path.join(glob.escape(self.folder), self.text)
            return sorted(map(os.path.normpath, glob.iglob(pattern, include_hidden=True)))
        path = os.path.normpath(os.path.join(self.folder, self.text))
        return [path] if os.path.lexists(path) else []


class Files:
    """Every file read for one configuration."""

    def __init__(self, warnings: list[CorefileWarning]) -> None:
        self.contents: dict[str, bytes] = {}  # of every file read, in the order of reading
        self._imported: dict[str, Lexed] = {}
        self._warnings = warnings

    def take(self, content: bytes, file: str) -> Lexed:
        """Lex this file's content. Raises CorefileError."""
        self.contents[file] = content
        if len(content) > MAX_FILE_BYTES:
            raise CorefileError(
                file, 1, f"larger than {MAX_FILE_BYTES >> 20} MiB", "this is no Corefile, or split it up"
            )
        lexed = lex(_decoded(content, file), file)
        if lexed.unclosed is not None:
            told = "the quote opened here is never closed, so it runs to the end of the file; close it with '\"'"
            self._warnings.append(CorefileWarning(file, lexed.unclosed.line, told))
        return lexed

    def read_main(self, path: str) -> Lexed:
        """The main file. Raises CorefileError with line 0 where it cannot be read."""
        try:
            content = self._main_content(path)
        except OSError as error:
            raise CorefileError(path, 0, f"cannot be read: {_reason(error)}", MAIN_FILE_HINT) from error
        return self.take(content, path)

    def read_import(self, path: str, at: Token) -> Lexed:
        """An imported file; `at` is the import's argument, where errors are told. Raises CorefileError."""
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

    def found(self, pattern: Pattern) -> list[str]:
        """The files that an import asks for, sorted."""
        return pattern.matches()

    def _main_content(self, path: str) -> bytes:
        """At most one byte more than allowed, so that /dev/zero ends. Raises OSError."""
        return read_file_or_pipe(path, MAX_FILE_BYTES + 1)

    def _content(self, path: str) -> bytes:
        """The same of an imported file."""
        with open_file(path) as file:
            return file.read(MAX_FILE_BYTES + 1)


class KeptFiles(Files):
    """Files as they were once, instead of those that there are now."""

    def __init__(self, warnings: list[CorefileWarning], kept: Mapping[str, bytes]) -> None:
        super().__init__(warnings)
        self._kept = kept

    def found(self, pattern: Pattern) -> list[str]:
        """As the patterns of `Pattern.matches`, of what was kept."""
        wanted = os.path.normpath(os.path.join(pattern.folder, pattern.text)).split(os.sep)
        return sorted(path for path in self._kept if _is_like(path.split(os.sep), wanted))

    def _content(self, path: str) -> bytes:
        if path not in self._kept:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self._kept[path]


def _is_like(path: list[str], wanted: list[str]) -> bool:
    return len(path) == len(wanted) and all(map(fnmatch.fnmatchcase, path, wanted))


def import_pattern(argument: Token) -> Pattern:
    """An import's argument, relative to the file it stands in. Raises CorefileError for more than one wildcard."""
    text = argument.text
    if "\0" in text:
        raise argument.error(f"File to import not found: {argument}", "a file name holds no NUL byte")
    if text.count("*") > 1 or text.count("?") > 1 or "[" in text:
        told = f"Glob pattern may only contain one wildcard (*), but has others: {argument}"
        raise argument.error(told, "import in several lines, each with one '*'")
    return Pattern(os.path.dirname(argument.file), text)


def _decoded(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CorefileError(file, line, f"byte {content[error.start]:#04x} is not UTF-8", "save it as UTF-8") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
