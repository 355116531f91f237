"""HTML from Python: elements are functions, and every text in them is escaped.

A text may come from a client's query or from an object of the cluster: it may have HTML, terminal escapes, and
characters that reverse the direction of what follows. The latter two are shown as `\\x1b` and `\\u202e`.
"""

from collections.abc import Iterable
from html import escape

from clusterdns.telemetry.printable import one_line

MAX_TEXT = 1100  # characters of one text: a name of 255 bytes, each escaped, and some words
_EMPTY_ELEMENTS = frozenset({"input", "link", "meta", "polyline", "rect"})
_BREAK = "<wbr>"


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | int | None | Iterable["Content"]
Attribute = str | int | bool | None


def element(tag: str, *content: Content, **attributes: Attribute) -> Markup:
    """Write an element; `class_` and `aria_label` are the attributes `class` and `aria-label`, False leaves one out."""
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _EMPTY_ELEMENTS:
        return Markup(f"<{tag}{written}/>")
    return Markup(f"<{tag}{written}>{join(*content)}</{tag}>")


def join(*content: Content) -> Markup:
    """Write content, texts escaped, without an element around it."""
    return Markup("".join(map(_written, content)))


def foreign(text: str) -> Markup:
    """Write a text from outside, whose letters may run from right to left, so that it does not move its neighbours."""
    return element("bdi", text) if text else Markup()


def foreign_name(text: str) -> Markup:
    """Write a domain name or `namespace/name`, which a narrow column breaks after a dot or slash."""
    return element("bdi", Markup(_escaped(text).replace(".", f".{_BREAK}").replace("/", f"/{_BREAK}")))


def _written(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content
    if isinstance(content, int):
        return str(content)
    if isinstance(content, str):
        return _escaped(content)
    return "".join(map(_written, content))


def _escaped(text: str) -> str:
    return escape(one_line(text, MAX_TEXT))


def preformatted(text: str) -> Markup:
    """Write a text of several lines for `pre`: line breaks and tabs stay, other control characters are escaped."""
    lines = (line.replace("\t", "    ") for line in text.split("\n"))
    return Markup("\n".join(escape(one_line(line)) for line in lines))


def _attribute(name: str, value: Attribute) -> str:
    name = name.removesuffix("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{_escaped(str(value))}"'
