"""The `$GENERATE` directive of master files: a range, and a record in which `$` stands for each number of the range.

`zonetext` makes the records.
"""

import re
from collections.abc import Sequence

_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})(?:/(\d{1,10}))?", re.ASCII)
_COUNTER = re.compile(r"\\.|\$\$|\$(?:\{([+-]?\d{1,10})(?:,(\d{1,3})(?:,([doxX]))?)?\})?", re.ASCII)


def counters_and_template(arguments: Sequence[str]) -> tuple[range, Sequence[str]]:
    """Return the numbers of the range, and the words of the record. Raises ValueError."""
    bounds = _RANGE.fullmatch(arguments[0]) if arguments else None
    if bounds is None:
        raise ValueError(f"$GENERATE: {' '.join(arguments[:1])!r} is not a range; write it as 1-10 or 0-100/5")
    first, last, step = int(bounds[1]), int(bounds[2]), int(bounds[3] or 1)
    if not step or last < first:
        raise ValueError(f"$GENERATE: the range {arguments[0]!r} must ascend, with a step of at least 1")
    if len(arguments) == 1:
        raise ValueError("the entry is incomplete; $GENERATE needs an owner name, a type and RDATA after its range")
    return range(first, last + 1, step), arguments[1:]


def substituted(word: str, counter: int) -> str:
    """Return a word with `$` and `${offset,width,base}` replaced; `$$` is a dollar sign. Raises ValueError."""
    if "$" not in word:
        return word

    def replace(found: re.Match[str]) -> str:
        if found[0][0] == "\\":
            return found[0]
        if found[0] == "$$":
            return "$"
        value = counter + int(found[1] or 0)
        width = int(found[2] or 0)
        if value < 0 or width > 255 or (found[1] is None and word.startswith("{", found.end())):
            raise ValueError(
                f"$GENERATE cannot write {word[found.start() :]!r}; write ${{OFFSET,WIDTH,BASE}}, as in ${{0,3,d}}"
            )
        return format(value, found[3] or "d").zfill(width)

    return _COUNTER.sub(replace, word)
