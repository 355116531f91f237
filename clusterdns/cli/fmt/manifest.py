"""The Corefiles in ConfigMaps of a YAML file: each is laid out where it stands, and the rest of the file stays.

A Corefile in quotes, as kubectl prints one with a blank at the end of a line, becomes a block (`|`). Comments, order
and layout of the YAML are not touched.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from clusterdns.cli.fmt.layout import laid_out
from clusterdns.cli.fmt.syntax import check_structure, loads
from clusterdns.corefile.errors import CorefileError, ErrorList
from clusterdns.corefile.lexer import lex

INDENT = 2
_COREFILE = re.compile(r"Corefile|.+\.(?:override|server)")
_HEADER = re.compile(
    r"\|(?P<before>[+-]?)(?P<indent>[1-9]?)(?P<after>[+-]?)(?P<comment>[ \t]+#[^\r\n]*)?[ \t]*(?=\r?\n|\Z)"
)
_JSON_HINT = "format its text: … -o jsonpath='{.data.Corefile}' | clusterdns fmt"


class _Held(NamedTuple):
    """A Corefile in a ConfigMap: its key and its text."""

    key: yaml.ScalarNode
    value: yaml.ScalarNode


def laid_out_manifest(text: str, name: str) -> str | None:
    """Lay out the Corefiles of a YAML text; None where it has none.

    Raises CorefileError where one cannot be replaced, and CorefileErrors for mistakes in them.
    """
    held = [one for root in yaml.compose_all(text, Loader=yaml.SafeLoader) for one in _corefiles(root)]
    if not held:
        return None
    errors = ErrorList()
    found = text
    for one in reversed(held):
        with errors.collect():
            found = _replaced(found, one, name)
    errors.raise_if_any()
    if found != text and _objects(found) != _objects(text):
        raise CorefileError(name, 0, "the Corefile cannot be replaced in this YAML", _JSON_HINT)
    return found


def _corefiles(node: yaml.Node | None) -> Iterator[_Held]:
    """Find the Corefiles, and the files that they import, of the ConfigMaps in a document."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _corefiles(item)
    elif isinstance(node, yaml.MappingNode):
        values = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
        kind, data = values.get("kind"), values.get("data")
        if isinstance(data, yaml.MappingNode) and (kind is None or kind.value == "ConfigMap"):
            yield from (_Held(key, value) for key, value in data.value if _is_corefile(key, value))
        else:
            yield from _corefiles(values.get("items"))


def _is_corefile(key: yaml.Node, value: yaml.Node) -> bool:
    is_text = isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
    return is_text and _COREFILE.fullmatch(key.value) is not None and bool(value.value.strip())


def _replaced(text: str, held: _Held, name: str) -> str:
    """Replace one Corefile by its layout. Raises CorefileError and CorefileErrors."""
    key, value = held
    start, end = value.start_mark, value.end_mark
    after = laid_out(value.value)
    header = _HEADER.match(text, start.index) if value.style == "|" else None
    # as many lines above the text as in the file, so that errors have the line of the file
    above = "\n" * (start.line + 1) if header else "\n" * start.line
    if not loads(above + value.value, name):
        check_structure(above + value.value, name)
    if value.style not in ("|", '"', "'") or (value.style == "|" and header is None):
        raise CorefileError(
            name, start.line + 1, f"'{key.value}' is not a block ('|')", "write it as one, or in quotes"
        )
    if after.rstrip("\n") == value.value.rstrip("\n") or lex(value.value, name).unclosed is not None:
        return text  # also where the newline at the end is part of a word
    newline = "\r\n" if "\r\n" in text else "\n"
    if header is None:
        rest = text[end.index :].partition("\n")[0].strip()
        if rest or key.start_mark.line != start.line:
            raise CorefileError(name, start.line + 1, f"'{key.value}' is in a line with others", _JSON_HINT)
        indent, first = key.start_mark.column + INDENT, "|"
        tail = ""
    else:
        indent = _indent_of(text, header, key.start_mark.column)
        chomping = header["before"] or header["after"]
        first = f"|{chomping}{header['comment'] or ''}"
        body = text[header.end() : end.index]
        _, has_end, blanks = body[len(body.rstrip(" \t\r\n")) :].partition("\n")
        tail = newline + blanks * (chomping != "+") if has_end else ""  # blank lines behind the text are the file's
    lines = [f"{' ' * indent}{line}" if line else "" for line in after.rstrip("\n").split("\n")]
    return text[: start.index] + newline.join([first, *lines]) + tail + text[end.index :]


def _indent_of(text: str, header: re.Match[str], key_column: int) -> int:
    """Return the indentation of a block's text: that of its first line, unless the header has another."""
    first = re.compile(r"(?:[ \t]*\r?\n)*( *)").match(text, header.end())
    return key_column + INDENT if header["indent"] or first is None else len(first[1])


def _objects(text: str) -> list[Any]:
    """Return the objects of a YAML text, with each Corefile laid out, to compare them."""
    return list(map(_normalized, yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))))


def _normalized(tree: Any) -> Any:
    if isinstance(tree, list):
        return list(map(_normalized, tree))
    if isinstance(tree, dict):
        return {
            key: laid_out(value).rstrip("\n")
            if isinstance(value, str) and _COREFILE.fullmatch(str(key))
            else _normalized(value)
            for key, value in tree.items()
        }
    return tree
