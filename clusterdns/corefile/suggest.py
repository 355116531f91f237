"""The known word nearest to one that is not known: `rewirte` was meant to be `rewrite`."""

from collections.abc import Collection
from difflib import get_close_matches

from clusterdns.corefile.errors import shown

_MAX_WORD_CHARACTERS = 64  # longer than any directive or option; difflib's cost grows with the word
_MAX_LISTED = 12


def nearest(word: str, known: Collection[str]) -> str | None:
    """The known word that looks most like this one, or None when none is close."""
    if len(word) > _MAX_WORD_CHARACTERS:
        return None
    found = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def hint_for(word: str, known: Collection[str], otherwise: str = "") -> str:
    """What to do about an unknown word: the nearest known one, else a short choice in full, else `otherwise`."""
    if (near := nearest(word, known)) is not None:
        return f"did you mean {shown(near)}?"
    if known and len(known) <= _MAX_LISTED:
        return f"known: {', '.join(sorted(known))}"
    return otherwise
