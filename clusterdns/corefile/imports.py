"""The statements that the parser reads: a file's lines, every `import` replaced by the lines of its snippet or files.

Imports are expanded when they are reached, as frames on a stack: a snippet must be defined above its use. Each frame
knows its importer: an import of an importer is a cycle, a second import of the same file is not.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from clusterdns.corefile.environment import expand
from clusterdns.corefile.errors import CorefileWarning, ErrorList, nearest
from clusterdns.corefile.files import Files, import_pattern
from clusterdns.corefile.lexer import MAX_TOKENS, Lexed, Token

MAX_SNIPPET_EXPANSIONS = 10_000  # both as in CoreDNS; the time is bounded by MAX_TOKENS
MAX_FILE_EXPANSIONS = 100_000
MAX_DEPTH = 100


class _Frame(msgspec.Struct):
    """A file or snippet that is being read."""

    label: str
    lines: list[list[Token]]
    importer: "_Frame | None" = None
    argument: Token | None = None  # of the import
    position: int = 0

    def next_line(self) -> deque[Token] | None:
        """Return the words of the next line, which know their importer; None at the end."""
        if self.position == len(self.lines):
            return None
        line = self.lines[self.position]
        self.position += 1
        if (argument := self.argument) is None:
            return deque(line)
        return deque([Token(text, file, at, quoted, argument, written) for text, file, at, quoted, _, written in line])

    def ancestry(self) -> list[str]:
        """Return the labels from the main file down to this frame."""
        labels = []
        frame: _Frame | None = self
        while frame is not None:
            labels.append(frame.label)
            frame = frame.importer
        return labels[::-1]


class Snippet(msgspec.Struct, frozen=True):
    """The lines between the braces of `(name) { … }`, with their imports unexpanded."""

    head: Token
    lines: list[list[Token]]
    token_count: int


class Statements:
    """Lines of tokens in the order in which they take effect, for one parser. Errors are added to the list given."""

    def __init__(self, files: Files, environ: Mapping[str, str], errors: ErrorList, warnings: list[CorefileWarning]):
        self.snippets: dict[str, Snippet] = {}
        self.stopped = False
        self.last: Token | None = None  # the last token read, at which an early end of file is reported
        self._files = files
        self._environ = environ
        self._errors = errors
        self._warnings = warnings
        self._frames: list[_Frame] = []
        self._returned: list[deque[Token]] = []
        self._token_count = 0
        self._snippet_expansions = 0
        self._file_expansions = 0

    def open(self, main: Lexed, file: str) -> None:
        """Begin with the main file."""
        self._token_count = main.token_count
        self._frames.append(_Frame(file, main.lines))

    def next(self) -> deque[Token] | None:
        """Return the next line that is not an import, for the caller to consume; None at the end."""
        while (line := self.next_unexpanded()) is not None:
            if line[0].quoted or line[0].text != "import":
                return line
            with self._errors.collect():
                self._import(line)
        return None

    def next_unexpanded(self) -> deque[Token] | None:
        """Return the next line as written, imports included, as a snippet stores it; None at the end."""
        if self.stopped:
            return None
        if self._returned:
            return self._returned.pop()
        while self._frames:
            if (line := self._frames[-1].next_line()) is not None:
                self.last = line[-1]
                return line
            self._frames.pop()
        return None

    def put_back(self, line: deque[Token]) -> None:
        """Have the rest of a line read next, as a line of its own."""
        if line:
            self._returned.append(line)

    def _import(self, line: deque[Token]) -> None:
        if len(line) == 1:
            text = "Wrong argument count or unexpected line ending after 'import'"
            raise line[0].error(text, "write: import SNIPPET, or import FILE")
        if len(line) > 2:
            raise line[2].error("Import takes only one argument (glob pattern or file)", f"remove {line[2]}")
        argument = expand(line[1], self._environ, self._warnings)
        if not argument.text:
            raise argument.error("Import requires a non-empty filepath", f"{line[1]} is empty; name a file")
        if (snippet := self.snippets.get(argument.text)) is not None:
            self._snippet_expansions += 1
            self._limit(argument, self._snippet_expansions, MAX_SNIPPET_EXPANSIONS, "snippet imports")
            self._push(argument, f"({argument.text})", snippet.lines, snippet.token_count, self._frames[-1])
        else:
            self._import_files(argument)

    def _import_files(self, argument: Token) -> None:
        pattern = import_pattern(argument)
        found = self._files.found(pattern)
        self._file_expansions += max(1, len(found))
        self._limit(argument, self._file_expansions, MAX_FILE_EXPANSIONS, "file imports")
        if not found and pattern.is_glob:
            text = f"No files matching import glob pattern: {argument.text}"
            self._warnings.append(CorefileWarning(argument.file, argument.line, text))
        elif not found:
            near = None if self._errors.is_full else nearest(argument.text, self.snippets)
            hint = f"did you mean the snippet {near}?" if near else "create it, or define a snippet of that name above"
            raise argument.error(f"File to import not found: {argument.text}", hint)
        importer = self._frames[-1]
        for path in reversed(found):  # the last one pushed is read first
            with self._errors.collect():
                lexed = self._files.read_import(path, argument)
                self._push(argument, path, lexed.lines, lexed.token_count, importer)

    def _push(self, argument: Token, label: str, lines: list[list[Token]], count: int, importer: _Frame) -> None:
        ancestry = importer.ancestry()
        if label in ancestry:
            cycle = " → ".join([*ancestry[ancestry.index(label) :], label])
            raise argument.error(f"import of itself: {cycle}", "remove one of these imports")
        self._limit(argument, len(ancestry), MAX_DEPTH, "imports inside each other")
        self._token_count += count
        self._limit(argument, self._token_count, MAX_TOKENS, "words after all imports")
        self._frames.append(_Frame(label, lines, importer, argument))

    def _limit(self, argument: Token, count: int, maximum: int, noun: str) -> None:
        if count > maximum:
            self.stopped = True
            raise argument.error(f"more than {maximum:,} {noun}", "look for imports that multiply each other")
