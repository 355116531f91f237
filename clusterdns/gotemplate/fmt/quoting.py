"""Go's strconv.Quote and its variants: a text as a Go constant."""

_SHORT = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_BYTE_ORDER_MARK = "\ufeff"


def quote(text: str, ascii_only: bool = False) -> str:
    """Quote a text in double quotes, with escapes for characters that are not printable."""
    return '"' + "".join(_escaped(one, '"', ascii_only) for one in text) + '"'


def quote_character(character: str, ascii_only: bool = False) -> str:
    """Quote a character in single quotes."""
    return f"'{_escaped(character, chr(39), ascii_only)}'"


def raw_quote(text: str) -> str | None:
    """Quote a text in backquotes; None where Go cannot."""
    for one in text:
        if (one < " " and one != "\t") or one in "`\x7f" or one == _BYTE_ORDER_MARK or "\ud800" <= one <= "\udfff":
            return None
    return f"`{text}`"


def _escaped(one: str, quote_mark: str, ascii_only: bool) -> str:
    if one == quote_mark:
        return f"\\{one}"
    if one in _SHORT:
        return _SHORT[one]
    if one.isprintable() and (one.isascii() or not ascii_only):
        return one
    code = ord(one)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
