"""The rhythm of a server's bookmarks, which tells a watch that is merely quiet from one that may be dead.

kube-apiserver sends a bookmark about once a minute to each watch. The kernel of a proxy may acknowledge our packets
long after the server behind it has gone, so that TCP shows nothing; a bookmark that is missing does.
"""

_FACTOR = 1.3  # the server sends bookmarks up to 1.25 s late
_MOST = 2.0
_ENOUGH = 3  # intervals; a single short one may be that of a watch that ends, which has a bookmark just before


class BookmarkRhythm:
    """The longest time between two bookmarks of one collection, learned from its watches."""

    def __init__(self, usual_seconds: float) -> None:
        """`usual_seconds` is assumed until several intervals were seen."""
        self._usual = usual_seconds
        self._longest = 0.0
        self._count = 0

    @property
    def limit_seconds(self) -> float:
        """The time without a line after which a watch is doubtful."""
        expected = self._longest if self._count >= _ENOUGH else max(self._longest, self._usual)
        return expected * _FACTOR

    def learn(self, seconds: float) -> None:
        """Note the time between two bookmarks, or between the start of a watch and its first one."""
        self._count += 1
        self._longest = max(self._longest, min(seconds, self._usual * _MOST))
