"""Keys as a terminal sends them: single bytes, and escape sequences, which may come in pieces."""

import re

_NAMES = {
    b"\t": "tab", b"\x0c": "redraw", b"\x04": "quit", b" ": "page down",
    b"\x1b[A": "up", b"\x1b[B": "down", b"\x1b[C": "right", b"\x1b[D": "left", b"\x1b[Z": "back tab",
    b"\x1bOA": "up", b"\x1bOB": "down", b"\x1bOC": "right", b"\x1bOD": "left",
    b"\x1b[5~": "page up", b"\x1b[6~": "page down", b"\x1b[H": "home", b"\x1b[F": "end", b"\x1b[1~": "home",
    b"\x1b[4~": "end", b"\x1bOH": "home", b"\x1bOF": "end",
}  # fmt: skip
_KEY = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1bO[@-~]|\x1b?[^\x1b]", re.DOTALL)
_BEGUN = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|O)?")
MAX_SEQUENCE_BYTES = 32


class KeyReader:
    """Takes bytes, and gives the names of keys; what is no key of ours is ignored."""

    def __init__(self) -> None:
        self._begun = b""

    def read(self, received: bytes) -> list[str]:
        """Return the keys that are complete; a letter's name is the letter."""
        data, keys = self._begun + received, []
        at = 0
        while at < len(data):
            begun = _BEGUN.fullmatch(data, at)
            key = None if begun else _KEY.match(data, at)
            if key is None:
                break
            keys.append(_name(key[0]))
            at = key.end()
        self._begun = data[at:] if len(data) - at <= MAX_SEQUENCE_BYTES else b""
        return [key for key in keys if key]


def _name(sequence: bytes) -> str:
    """Name a key; an ESC before a letter was a key of its own, or Alt."""
    if sequence in _NAMES:
        return _NAMES[sequence]
    letter = sequence[-1:].decode("ascii", "replace")
    return letter if len(sequence.lstrip(b"\x1b")) == 1 and letter.isprintable() and letter.isascii() else ""
