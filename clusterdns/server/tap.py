"""The tap of a process: where replies are observed while the live picture has viewers.

All listener contexts share one. Without viewers it is empty, and a batch of datagrams pays for one comparison.
`live.observation` is what is attached; listeners report to it what they have sent.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

from clusterdns.host.udp.datagrams import Datagrams


class Shed(StrEnum):
    """What a client lost to a limit that keeps it from taking too much from others."""

    CONNECTION = "connections closed for those of other clients"
    QUERY = "queries dropped: too many wait for their handlers"
    SHARE = "queries dropped: above its share of what can be answered"


class ReplyObserver(Protocol):
    """The receiver of what listeners have sent; it reads some of the replies, and changes none."""

    def batch(self, batch: Datagrams, count: int, replies: int, hits: int, seconds: float) -> None:
        """Take a batch of `count` datagrams with so many replies, of which `hits` were compiled answers.

        A slot without a reply holds a message that is not a response.
        """

    def stream(self, replies: Sequence[bytes], host: str, hits: int, seconds: float) -> None:
        """Take the replies of one batch over a stream, each behind its length; empty: there is none yet."""

    def later(self, message: bytes, host: str, seconds: float) -> None:
        """Take one reply that was made after a wait of this many seconds."""

    def shed(self, host: str, what: Shed, times: int = 1) -> None:
        """Take note of a client that lost something to a limit, so many times."""


class Tap:
    """The place of an observer, and of the collector that puts it there."""

    __slots__ = ("collector", "observer")

    def __init__(self) -> None:
        self.observer: ReplyObserver | None = None
        self.collector: Any = None  # a live.collector.LiveCollector, which the first look makes

    def shed(self, host: str, what: Shed, times: int = 1) -> None:
        """Report to the observer, if there is one, that a client lost something to a limit, so many times."""
        if self.observer is not None:
            self.observer.shed(host, what, times)
