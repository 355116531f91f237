"""Text of others (names, objects, upstreams, servers) as one line that a terminal shows and does not interpret.

Commands, errors and log lines use it. Names of DNS in presentation format are ASCII already; it is for all other text.
"""

_MAX_MARKS = 2  # on one letter, as in Thai; more of them cover the lines above
# printable to Python, yet without ink: joiners, fillers, the blank of Braille; variation selectors
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {
    chr(code)
    for first, last in ((0x180B, 0x180F), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
}


def one_line(text: str, max_length: int | None = None) -> str:
    """Escape each character that breaks the line, controls the terminal, changes its direction or is not seen.

    The escapes are Python's: `\\n`, `\\x1b`, `\\u202e`. A longer text is cut, and ends in `…`.
    """
    if max_length is not None and len(text) > max_length:
        return one_line(text[:max_length])[:max_length] + "…"
    if text.isascii():
        return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)
    return _without_hidden(text)


def several_lines(text: str) -> str:
    """Escape as `one_line` does, except for the ends of lines."""
    return "\n".join(map(one_line, text.splitlines()))


def _without_hidden(text: str) -> str:
    """Escape as `one_line` does; combining marks stay where they have a letter to be on, and are few."""
    from unicodedata import category  # a library of its own, which most starts do not need

    shown, room = [], 0
    for one in text:
        is_mark = (
            category(one)[0] == "M" or "\u1160" <= one <= "\u11ff" or "\ud7b0" <= one <= "\ud7ff"
        )  # Hangul's vowels
        room = room - 1 if is_mark else _MAX_MARKS
        if one.isprintable() and one not in _INVISIBLE and not (is_mark and room < 0):
            shown.append(one)
        else:
            shown.append(_escaped(one))
            room = 0
    return "".join(shown)


def _escaped(one: str) -> str:
    return one.encode("unicode_escape").decode("ascii")
