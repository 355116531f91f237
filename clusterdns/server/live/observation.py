"""The observation of replies: how many there are, with which codes, how long they take, and the names and clients.

Every reply is counted; every n-th one is read, n so that at most MAX_READS_PER_SECOND are: the cost is bounded, and the
shares of names and clients are estimates only under a load at which they are good ones. `server.tap` calls it,
`picture` reads it.
"""

import random
from collections import Counter, deque
from collections.abc import Sequence

from clusterdns.host.admission import address_of
from clusterdns.host.udp.datagrams import SLOT_BYTES, Datagrams
from clusterdns.server.live.durations import Durations
from clusterdns.server.tap import Shed
from clusterdns.telemetry.heavy_hitters import HeavyHitters
from clusterdns.wire import codes
from clusterdns.wire.header import HEADER_BYTES, RCODE_MASK
from clusterdns.wire.name import MAX_LABEL_BYTES, MAX_NAME_BYTES

MAX_READS_PER_SECOND = 1000  # 0.7 % of a core
READS_PER_STEP = 400  # of a second in which the rate has grown, before only a quarter of the replies are read
CAPACITY = 1024  # of each table of heavy hitters: some 600 KiB with names of 255 bytes
HISTORY_SECONDS = 60
DURATION_SECONDS = 10  # of which percentiles are taken

_QUESTION_END_BYTES = HEADER_BYTES + MAX_NAME_BYTES + 2
_RESPONSE = 0x80
_FRAME_BYTES = 2

Question = bytes  # a name in lower case and a type, as on the wire


class Observation:
    """What was observed since its begin, in seconds that `end_second` closes."""

    def __init__(self) -> None:
        self.names: HeavyHitters[Question] = HeavyHitters(CAPACITY)
        self.clients: HeavyHitters[str] = HeavyHitters(CAPACITY)
        self.nxdomain: HeavyHitters[Question] = HeavyHitters(CAPACITY)
        self.servfail: HeavyHitters[Question] = HeavyHitters(CAPACITY)
        self.shed_clients: HeavyHitters[tuple[str, str]] = HeavyHitters(CAPACITY)
        self.seconds = 0.0
        self.per_second = 0.0  # replies, in the last second
        self.hit_ratio: float | None = None
        self.codes_per_second: dict[str, float] = {}
        self.history: deque[tuple[float, float | None]] = deque(maxlen=HISTORY_SECONDS)  # replies/s and p99
        self.durations = Durations(DURATION_SECONDS)
        self.read_share = 1.0
        self._replies = self._hits = self._read = 0  # of the second that has not ended
        self._codes: Counter[int] = Counter()
        self._every = 1
        self._step_reads = 0  # since `_every` was chosen
        self._most_reads = MAX_READS_PER_SECOND
        self._left = 0  # replies until the next one that is read

    # What the tap calls

    def batch(self, batch: Datagrams, count: int, replies: int, hits: int, seconds: float) -> None:
        """See `tap.ReplyObserver`."""
        self._replies += replies
        self._hits += hits
        slot = self._left
        while slot < count:
            start = slot * SLOT_BYTES
            self._look(batch.payload[start : start + _QUESTION_END_BYTES], batch.client(slot)[0], seconds)
            slot += self._step()
        self._left = slot - count

    def stream(self, replies: Sequence[bytes], host: str, hits: int, seconds: float) -> None:
        """See `tap.ReplyObserver`."""
        made = [one for one in replies if one]
        self._hits += hits
        for reply in made:
            self._one(reply[_FRAME_BYTES : _FRAME_BYTES + _QUESTION_END_BYTES], host, seconds)

    def later(self, message: bytes, host: str, seconds: float) -> None:
        """See `tap.ReplyObserver`."""
        self._one(message[:_QUESTION_END_BYTES], host, seconds)

    def shed(self, host: str, what: Shed, times: int = 1) -> None:
        """See `tap.ReplyObserver`."""
        self.shed_clients.add((address_of(host), what.value), times)

    def _one(self, start: bytes, host: str, seconds: float) -> None:
        self._replies += 1
        if self._left:
            self._left -= 1
            return
        self._look(start, host, seconds)
        self._left = self._step() - 1

    def _step(self) -> int:
        """Draw the distance to the next reply that is read, so that no regular client is always or never met."""
        return 1 if self._every == 1 else 1 + int(random.random() * (2 * self._every - 1))

    def _look(self, start: bytes, host: str, seconds: float) -> None:
        """Read the beginning of a reply."""
        if not start[2] & _RESPONSE:  # nothing is sent in this slot
            return
        self._read += 1
        self._step_reads += 1
        weight = self._every
        rcode = start[3] & RCODE_MASK
        self._codes[rcode] += weight
        self.durations.add(seconds, weight)
        self.clients.add(address_of(host), weight)
        question = question_of(start)
        if question is not None:
            self.names.add(question, weight)
            if rcode == codes.NXDOMAIN:
                self.nxdomain.add(question, weight)
            elif rcode == codes.SERVFAIL:
                self.servfail.add(question, weight)
        if self._step_reads == self._most_reads:
            self._every *= 4
            self._step_reads, self._most_reads = 0, READS_PER_STEP

    # What the picture calls

    def end_second(self, seconds: float) -> None:
        """Close a second, which has taken `seconds`, and choose how many replies of the next one are read."""
        self.seconds += seconds
        self.per_second = self._replies / seconds
        self.hit_ratio = min(1.0, self._hits / self._replies) if self._replies else None
        self.read_share = self._read / self._replies if self._replies else 1.0
        self.codes_per_second = {
            codes.rcode_text(rcode): self.per_second * count / self._codes.total()
            for rcode, count in self._codes.items()
        }
        for table in (self.names, self.clients, self.nxdomain, self.servfail):
            table.fade(seconds)
        self.shed_clients.fade(seconds)
        self.durations.end_second()
        self.history.append((self.per_second, self.durations.last_quantile(0.99)))
        self._every = max(1, round(self.per_second / MAX_READS_PER_SECOND))
        self._replies = self._hits = self._read = self._step_reads = 0
        self._most_reads = MAX_READS_PER_SECOND + READS_PER_STEP
        self._left = min(self._left, self._step() - 1)
        self._codes.clear()


def question_of(start: bytes) -> Question | None:
    """Cut name and type out of the beginning of a reply, the name in lower case; None where it has none."""
    if len(start) < HEADER_BYTES or not (start[4] or start[5]):
        return None
    end = HEADER_BYTES
    while end < len(start) and 0 < start[end] <= MAX_LABEL_BYTES:
        end += 1 + start[end]
    end += 1
    if end + 2 > len(start) or start[end - 1]:
        return None
    return start[HEADER_BYTES:end].lower() + start[end : end + 2]
