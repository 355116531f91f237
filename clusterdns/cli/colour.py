"""Colours for a terminal, unless NO_COLOR is set (no-color.org) or the terminal is dumb."""

import os
from typing import TextIO

GREEN, RED, YELLOW, BOLD, DIM = "32", "31", "33", "1", "2"


def painted(line: str, colour: str, word: str, stream: TextIO) -> str:
    """Colour the first occurrence of a word, where the stream is a terminal."""
    is_plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return line if is_plain or not word else line.replace(word, f"\033[{colour}m{word}\033[0m", 1)
