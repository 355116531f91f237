"""Where a collection stands: the resourceVersion to resume from, and the newest one that was ever seen.

Versions are compared as the integers that they are in every API server (Kubernetes 1.35 made that a promise); one that
is not an integer is opaque and never older than another. A list or an event from an older state, such as that of a
lagging etcd member, is refused. After etcd was restored from a backup every list is older: then it is accepted.
"""

import logging
from collections.abc import Callable

from clusterdns.cluster.api.errors import Backwards

REFUSALS_BEFORE_ACCEPTED = 3
SECONDS_BEFORE_ACCEPTED = 5.0  # of older lists only; a load balancer may lead to a lagging server several times
_MAX_DIGITS = 40

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Position:
    """The versions of one collection. An empty `version` means that a list has to be read first."""

    def __init__(self, label: str, clock: Callable[[], float]) -> None:
        self.version = ""
        self.newest = -1  # of the versions that are integers
        self.is_refusing = False  # lists, because they were older than what is known
        self._label = label
        self._clock = clock
        self._refusals = 0
        self._refusing_since = 0.0

    def advance(self, version: str) -> None:
        """Note an event's version, if it has one; the next watch resumes after it."""
        self.version = version or self.version
        self.saw(number_of(version))

    def saw(self, number: int | None) -> None:
        """Note that a state of this version was seen."""
        if number is not None and number > self.newest:
            self.newest = number

    def check_list(self, version: str) -> None:
        """Raise Backwards where a list is older than what was seen, unless lists have been older for some time."""
        number = number_of(version)
        if number is None or number >= self.newest:
            self.is_refusing = False
            return
        now = self._clock()
        if not self.is_refusing:
            self.is_refusing, self._refusals, self._refusing_since = True, 0, now
        self._refusals += 1
        if self._refusals <= REFUSALS_BEFORE_ACCEPTED or now - self._refusing_since < SECONDS_BEFORE_ACCEPTED:
            raise Backwards(f"the API server's list has resourceVersion {version}, older than the known {self.newest}")
        log.warning(
            "%s: the API server has gone back from resourceVersion %d to %s, as after etcd is restored from a backup; "
            "its state is accepted", self._label, self.newest, version,
        )  # fmt: skip
        self.is_refusing = False
        self.newest = -1


def number_of(version: str) -> int | None:
    """Return a version as an integer, or None where it is opaque."""
    return int(version) if version.isascii() and version.isdigit() and len(version) <= _MAX_DIGITS else None
