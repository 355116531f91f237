"""The text of a manifest file → its documents of the kinds that are played, each with its place.

`files` reads the bytes and `controllers` gives the documents a meaning. YAML comes from people and must not cost more
than its size: nesting and the values that aliases stand for are counted while it is read. It is read as kubectl reads
it (dates are text, no base-60 numbers), because otherwise an IPv6 address can turn into a number.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from yaml.composer import Composer, ComposerError
from yaml.constructor import SafeConstructor
from yaml.events import AliasEvent
from yaml.nodes import Node
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from clusterdns.cluster.manifests.kinds import SHAPES

MAX_DEPTH = 100  # the parser's C code has no limit of its own, and 100,000 levels end the process
MAX_VALUES = 2_000_000  # of one YAML document, some 0.5 KiB each while it is read
MAX_DOCUMENTS = 100_000  # of one file
_MAX_LIST_DEPTH = 5

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map"))
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z")


class Document(NamedTuple):
    """One object as written. `kind` is one of `kinds.SHAPES`, or empty where the document names none."""

    kind: str
    tree: Any
    place: str  # file:line


class DocumentError(ValueError):
    """A file that cannot be read as manifests: `file:line: what is wrong`."""

    def __init__(self, file: str, line: int, text: str) -> None:
        super().__init__(f"{file}:{line}: {text}" if line else f"{file}: {text}")


def read_documents(raw: bytes, file: str) -> list[Document]:
    """The documents of a file's content, Lists taken apart, other kinds left out. Raises DocumentError."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(file, raw.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from error
    found: list[Document] = []
    for number, (tree, line) in enumerate(_trees(text, file), 1):
        if number > MAX_DOCUMENTS:
            raise DocumentError(file, line, f"more than {MAX_DOCUMENTS} documents; split the file")
        if tree is None:
            continue
        if not isinstance(tree, dict):
            raise DocumentError(file, line, f"a {type(tree).__name__} where an object with a kind is wanted")
        found += _flatten(tree, "", f"{file}:{line}", 0)
    return found


def _flatten(tree: Any, kind: str, place: str, depth: int) -> Iterator[Document]:
    """The object itself, or the items of a List. `kind` is what a list of one kind says of its items."""
    if isinstance(tree, dict):
        own = tree.get("kind") or kind
        kind = own if isinstance(own, str) else ""
        item_kind = kind.removesuffix("List")
        if kind != item_kind and item_kind in ("", *SHAPES) and isinstance(tree.get("items"), list):
            if depth < _MAX_LIST_DEPTH:
                for item in tree["items"]:
                    yield from _flatten(item, item_kind, place, depth + 1)
            return
    else:
        kind = ""
    if not kind or kind in SHAPES:
        yield Document(kind, tree, place)


def _trees(text: str, file: str) -> Iterator[tuple[Any, int]]:
    """Each document's tree and first line."""
    if file.endswith(".json"):
        yield from _json_trees(text, file)
        return
    loader = None
    line = 1
    try:
        loader = LOADER(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            line = node.start_mark.line + 1
            yield loader.construct_document(node), line
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark:  # what is missing at the end is missing on the last line
            line = min(mark.line, text.rstrip().count("\n")) + 1
        raise DocumentError(file, line, _problem(error)) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(file, line, f"the character {error.character!r} is not allowed") from error
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:  # Lookup: what `!!bool x` ends in
        raise DocumentError(file, line, f"a value cannot be read ({error or type(error).__name__})") from error
    finally:
        if loader is not None:
            loader.dispose()


def _problem(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(text for text in (error.context, error.problem) if text)


def _json_trees(text: str, file: str) -> Iterator[tuple[Any, int]]:
    """One JSON value after another, as kubectl takes them too."""
    decode = json.JSONDecoder().raw_decode
    blank = re.compile(r"[ \t\r\n]*")
    at = line = 0
    try:
        while (start := blank.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # matches always
            line += text.count("\n", at, start)
            tree, end = decode(text, start)
            yield tree, line + 1
            line += text.count("\n", start, end)
            at = end
    except json.JSONDecodeError as error:
        raise DocumentError(file, error.lineno, error.msg) from error
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, or 1,000 brackets
        raise DocumentError(file, line + 1, str(error)) from error


class _Guard(Composer):
    """Counts what is composed: how deep, and how many values with each alias counted in full."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0
        self._sizes: dict[str, int] = {}  # of what each anchor of this document stands for

    def compose_document(self) -> Node | None:
        self._count = 0
        self._sizes.clear()
        return super().compose_document()

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[attr-defined]  # of the parser mixed in below
        anchor: str | None = event.anchor
        is_alias = isinstance(event, AliasEvent)
        if is_alias:
            if anchor in self.anchors and anchor not in self._sizes:
                raise ComposerError(None, None, "an alias to what it is part of", event.start_mark)
            self._count += self._sizes.get(anchor or "", 0)
            return super().compose_node(parent, index)
        before = self._count
        self._count += 1
        if self._count > MAX_VALUES:
            text = f"more than {MAX_VALUES} values in one document, aliases counted in full; split it"
            raise ComposerError(None, None, text, event.start_mark)
        if self._depth >= MAX_DEPTH:
            raise ComposerError(None, None, f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if anchor is not None:
            self._sizes[anchor] = self._count - before
        return node


class _KubernetesYaml(Resolver):
    """Plain scalars as Go's YAML reads them, of which Kubernetes makes JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the library's own way to configure a class
        first: [(tag, _INT if tag == _TAG + "int" else pattern) for tag, pattern in choices if tag not in unused]
        for unused in [(_TAG + "timestamp", _TAG + "value")]
        for first, choices in Resolver.yaml_implicit_resolvers.items()
    }


class _PlainConstructor(SafeConstructor):
    """Makes what JSON has; a date, set or binary in a manifest is a mistake."""

    yaml_constructors = {  # noqa: RUF012
        tag: make for tag, make in SafeConstructor.yaml_constructors.items() if tag is None or tag in _PLAIN_TAGS
    }


class PythonLoader(_Guard, _KubernetesYaml, _PlainConstructor, Reader, Scanner, Parser):
    """For a PyYAML without libyaml: ten times slower."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        _Guard.__init__(self)
        _PlainConstructor.__init__(self)
        _KubernetesYaml.__init__(self)


if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class LibyamlLoader(_Guard, _KubernetesYaml, _PlainConstructor, CParser):
        """The usual one: C code up to the parser's events."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _Guard.__init__(self)
            _PlainConstructor.__init__(self)
            _KubernetesYaml.__init__(self)

    LOADER: type[LibyamlLoader] | type[PythonLoader] = LibyamlLoader
else:
    LOADER = PythonLoader
