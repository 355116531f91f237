"""Colours for a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb.

CLICOLOR_FORCE (bixense.com/clicolors) colours what goes to a pipe too, as for `less -R`; NO_COLOR is above it.
"""

import os
from typing import TextIO

GREEN, RED, YELLOW, BOLD, DIM = "32", "31", "33", "1", "2"


def is_coloured(stream: TextIO | None) -> bool:
    """Return whether text for this stream may have colours."""
    if stream is None or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0") or stream.isatty()


def painted(line: str, colour: str, word: str, stream: TextIO | None) -> str:
    """Colour the first occurrence of a word, where the stream shows colours."""
    return line.replace(word, f"\033[{colour}m{word}\033[0m", 1) if word and is_coloured(stream) else line
