"""HTML from Python: elements are functions, and every text in them is escaped.

A text may come from a client's query or from an object of the cluster: it may have HTML, terminal escapes, and
characters that reverse the direction of what follows. The latter two are shown as `\\x1b` and `\\u202e`.
"""

from collections.abc import Iterable
from functools import cache
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
    opening = begin(tag, **attributes)
    return opening if tag in _EMPTY_ELEMENTS else Markup(f"{opening}{join(*content)}</{tag}>")


def begin(tag: str, **attributes: Attribute) -> Markup:
    """Write the start tag of an element, for one that is repeated; that of an empty element is all of it."""
    written = "".join([_attribute(name, value) for name, value in attributes.items()])
    return Markup(f"<{tag}{written}/>" if tag in _EMPTY_ELEMENTS else f"<{tag}{written}>")


def join(*content: Content) -> Markup:
    """Write content, texts escaped, without an element around it."""
    return Markup("".join([_written(one) for one in content]))


def foreign(text: str) -> Markup:
    """Write a text from outside, whose letters may run from right to left, so that it does not move its neighbours."""
    return Markup(f"<bdi>{_escaped(text)}</bdi>") if text else Markup()


def foreign_name(text: str) -> Markup:
    """Write a domain name or `namespace/name`, which a narrow column breaks after a dot or slash."""
    return Markup(f"<bdi>{_escaped(text).replace('.', f'.{_BREAK}').replace('/', f'/{_BREAK}')}</bdi>")


def _written(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return _escaped(content)
    if content is None:
        return ""
    return str(content) if isinstance(content, int) else "".join(map(_written, content))


def _escaped(text: str) -> str:
    return escape(one_line(text, MAX_TEXT))


def preformatted(text: str) -> Markup:
    """Write a text of several lines for `pre`: line breaks and tabs stay, other control characters are escaped."""
    lines = (line.replace("\t", "    ") for line in text.split("\n"))
    return Markup("\n".join(escape(one_line(line)) for line in lines))


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    return f" {_attribute_name(name)}" if value is True else f' {_attribute_name(name)}="{_escaped(str(value))}"'


@cache
def _attribute_name(name: str) -> str:
    return name.removesuffix("_").replace("_", "-")
