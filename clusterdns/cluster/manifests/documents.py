"""Parses the text of a manifest file into documents, each with its location; those of other kinds without content.

`files` reads the bytes and `controllers` interprets the documents. The cost of a YAML file is bounded by its size: the
parser counts nesting, and counts the values behind each alias in full. YAML is read as kubectl reads it (dates are
text, there are no base-60 numbers); otherwise an IPv6 address could be read as a number.
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

from clusterdns.cluster.manifests.kinds import MANIFEST_TYPES

MAX_DEPTH = 100  # libyaml has no limit, and 100,000 levels crash the process
MAX_VALUES = 2_000_000  # of one YAML document; each takes some 0.5 KiB while it is read
MAX_DOCUMENTS = 100_000  # of one file
_MAX_LIST_DEPTH = 5

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str", "seq", "map"))
_INT = re.compile(r"[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0[0-7_]*|[1-9][0-9_]*)\Z")


class Document(NamedTuple):
    """One object as written. `kind` is empty where the document names none.

    Of a kind that is not in `MANIFEST_TYPES` the tree holds `apiVersion`, and name and namespace, alone.
    """

    kind: str
    tree: Any
    location: str  # file:line


class DocumentError(ValueError):
    """A file that cannot be parsed: `file:line: REASON`."""

    def __init__(self, file: str, line: int, text: str) -> None:
        self.location = f"{file}:{line}" if line else file
        self.text = text
        super().__init__(f"{self.location}: {text}")


def read_documents(raw: bytes, file: str) -> list[Document]:
    """Parse a file into documents; a List gives one per item. Raises DocumentError."""
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
            raise DocumentError(file, line, f"a {type(tree).__name__} instead of an object with a kind")
        found += _flatten(tree, "", f"{file}:{line}", 0)
    return found


def _flatten(tree: Any, kind: str, location: str, depth: int) -> Iterator[Document]:
    """Yield the object itself, or the items of a List; `kind` is the kind that a typed list gives its items."""
    if isinstance(tree, dict):
        own = tree.get("kind") or kind
        kind = own if isinstance(own, str) else ""
        item_kind = kind.removesuffix("List")
        if kind != item_kind and item_kind in ("", *MANIFEST_TYPES) and isinstance(tree.get("items"), list):
            if depth < _MAX_LIST_DEPTH:
                for item in tree["items"]:
                    yield from _flatten(item, item_kind, location, depth + 1)
            return
    else:
        kind = ""
    yield Document(kind, _identity(tree) if kind and kind not in MANIFEST_TYPES else tree, location)


def _identity(tree: dict[str, Any]) -> dict[str, Any]:
    """Keep of an object what names it; the rest of a kind that is not read may be large."""
    meta = tree.get("metadata")
    names = {key: meta[key] for key in ("name", "namespace") if key in meta} if isinstance(meta, dict) else {}
    return {"apiVersion": tree.get("apiVersion"), "metadata": names}


def _trees(text: str, file: str) -> Iterator[tuple[Any, int]]:
    """Parse each document into its tree, with its first line."""
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
        if mark:  # an error at the end of the file is reported for the last line with text
            line = min(mark.line, text.rstrip().count("\n")) + 1
        raise DocumentError(file, line, _problem(error)) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(file, line, f"the character {error.character!r} is not allowed in YAML") from error
    except (yaml.YAMLError, ValueError, LookupError, RecursionError) as error:  # LookupError: `!!bool x`
        raise DocumentError(file, line, f"a value cannot be read ({error or type(error).__name__})") from error
    finally:
        if loader is not None:
            loader.dispose()


def _problem(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(text for text in (error.context, error.problem) if text)


def _json_trees(text: str, file: str) -> Iterator[tuple[Any, int]]:
    """Parse JSON values that follow each other, as kubectl does."""
    decode = json.JSONDecoder(object_pairs_hook=_mapping).raw_decode
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
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits; 1,000 brackets
        raise DocumentError(file, line + 1, str(error)) from error


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its pairs, in Python: the parser, written in C, stops all other threads until it calls it."""
    return dict(pairs)


class _Guard(Composer):
    """A composer that limits the depth and the number of values, with each alias counted in full."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0
        self._sizes: dict[str, int] = {}  # values behind each anchor of this document

    def compose_document(self) -> Node | None:
        self._count = 0
        self._sizes.clear()
        return super().compose_document()

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event: Any = self.peek_event()  # type: ignore[attr-defined]  # a method of the parser that is mixed in below
        anchor: str | None = event.anchor
        is_alias = isinstance(event, AliasEvent)
        if is_alias:
            if anchor in self.anchors and anchor not in self._sizes:
                raise ComposerError(None, None, "an alias to a value that contains it", event.start_mark)
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
    """A resolver of plain scalars that follows kubectl, which converts YAML to JSON."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the library's own way to configure a class
        first: [(tag, _INT if tag == _TAG + "int" else pattern) for tag, pattern in choices if tag not in unused]
        for unused in [(_TAG + "timestamp", _TAG + "value")]
        for first, choices in Resolver.yaml_implicit_resolvers.items()
    }


class _PlainConstructor(SafeConstructor):
    """A constructor of JSON's types alone; a date, set or binary in a manifest is an error."""

    yaml_constructors = {  # noqa: RUF012
        tag: make for tag, make in SafeConstructor.yaml_constructors.items() if tag is None or tag in _PLAIN_TAGS
    }


class PythonLoader(_Guard, _KubernetesYaml, _PlainConstructor, Reader, Scanner, Parser):
    """The loader for a PyYAML without libyaml, ten times slower."""

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
        """The usual loader: libyaml parses, and the events are composed in Python."""

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _Guard.__init__(self)
            _PlainConstructor.__init__(self)
            _KubernetesYaml.__init__(self)

    LOADER: type[LibyamlLoader] | type[PythonLoader] = LibyamlLoader
else:
    LOADER = PythonLoader
