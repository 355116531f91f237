"""The rhythm of a server's bookmarks, from which a watch that is merely quiet is told from one that may be dead.

kube-apiserver sends a bookmark about once a minute to each watch. The kernel of a proxy may acknowledge our packets
long after the server behind it has gone, so that TCP shows nothing; a bookmark that is missing does.
"""

_FACTOR = 1.3  # the server sends bookmarks up to 1.25 s late
_MOST = 2.0


class BookmarkRhythm:
    """The longest time between two bookmarks of one collection, learned from its watches."""

    def __init__(self, usual_seconds: float) -> None:
        """`usual_seconds` is assumed until a bookmark was seen."""
        self._usual = usual_seconds
        self._longest = 0.0

    @property
    def limit_seconds(self) -> float:
        """The time without a line after which a watch is doubtful."""
        return (self._longest or self._usual) * _FACTOR

    def learn(self, seconds: float) -> None:
        """Note the time between two bookmarks, or between the start of a watch and its first one."""
        self._longest = max(self._longest, min(seconds, self._usual * _MOST))
