"""Suggestions for unknown words: `rewrite` for `rewirte`."""

from collections.abc import Collection

from clusterdns.corefile.errors import shown

_MAX_WORD_CHARACTERS = 64  # longer than any directive or option; difflib's cost grows with the word
_MAX_LISTED = 12


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that is most similar to this one; None where none is similar."""
    if len(word) > _MAX_WORD_CHARACTERS:
        return None
    from difflib import get_close_matches  # only a mistake needs it

    found = get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def hint_for(word: str, known: Collection[str], otherwise: str = "") -> str:
    """Make the hint for an unknown word: the most similar known word, or a short list of all, or `otherwise`."""
    if (near := nearest(word, known)) is not None:
        return f"did you mean {shown(near)}?"
    if known and len(known) <= _MAX_LISTED:
        return f"known: {', '.join(sorted(known))}"
    return otherwise
