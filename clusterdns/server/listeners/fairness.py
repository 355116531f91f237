"""Fairness between the sources of UDP queries while there are more than can be answered.

Without it a source gets answers in proportion to what it sends, because the kernel drops what does not fit into the
receive buffer, no matter whose it is. Here the filter of the socket (`host.udp.socket_filter`) drops what each source
sends above its fair share, so that the buffer has space for the queries of all others. `udp` reports its full batches;
otherwise nothing is measured, and no filter has sources, until the buffer overflows.
"""

import logging
import math
import random
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from clusterdns.host.admission import address_of, network_of
from clusterdns.host.udp import socket_filter
from clusterdns.host.udp.datagrams import BATCH, Datagrams
from clusterdns.host.udp.socket_filter import MAX_SOURCES, SocketMemory
from clusterdns.server.tap import Shed, Tap
from clusterdns.telemetry.metrics import Series

LOOK_SECONDS = 0.005  # between two looks at the receive buffer while batches are full
PERIOD_SECONDS = 0.1  # of the samples by which shares are renewed
DRAIN_SECONDS = 0.005  # the same while the queue is standing
CALM_SECONDS = 1.0  # without a source above its share, before sampling ends
OVERFLOW_SHARE = 0.75  # of the receive buffer that is in use just after datagrams were dropped for want of space
STANDING_SECONDS = 0.005  # without an empty receive buffer: the queue is standing (as in CoDel, RFC 8289 §3.1)
CAPACITY = 0.8  # of the datagrams that were read in a period at whose end the queue is standing
GROWTH = 1.1  # of the capacity, for each period in which the server has time left
BUSY_SHARE = 0.5  # of batches that are full while it has none left
MAX_SHARE = 0.999  # of a source: what is left shows when it ends
MIN_SAMPLES = 4  # of a source whose datagrams are dropped
SAMPLES_PER_BATCH = 4

CallLater = Callable[[float, Callable[[], None]], Any]

log = logging.getLogger("clusterdns")


class FairShares:
    """The filter of one UDP socket, and the samples that it is made from."""

    def __init__(
        self, sock: socket.socket, server_text: str, shed: Series, tap: Tap,
        call_later: CallLater, clock: Callable[[], float] = perf_counter,
    ) -> None:  # fmt: skip
        self.is_sampling = False  # every batch is to be reported, not only full ones
        self._socket = sock
        self._server_text = server_text
        self._shed = shed
        self._tap = tap
        self._call_later = call_later
        self._clock = clock
        self._has_filter = socket_filter.attach(sock, {})
        self._looked_at = 0.0
        self._dropped = socket_filter.memory(sock).dropped
        self._samples: Counter[str] = Counter()
        self._batches = self._full = self._read = 0  # of this period
        self._began = 0.0
        self._shares: dict[str, float] = {}  # that are dropped, by source
        self._capacity = 0.0  # queries per second
        self._is_draining = False
        self._sent: dict[str, float] = {}  # datagrams per second of each source, as estimated last
        self._calm_since = 0.0
        self._full_since: float | None = None  # the first of the last batches in a row that were full
        self._timer: Any = None

    def report(self, batch: Datagrams, count: int) -> None:
        """Take a batch of datagrams: a full one, or any while `is_sampling`."""
        if self.is_sampling:
            self._sample(batch, count, SAMPLES_PER_BATCH)
            return
        now = self._clock()
        if now - self._looked_at < LOOK_SECONDS or not self._has_filter:
            return
        seconds, self._looked_at = now - self._looked_at, now
        memory = socket_filter.memory(self._socket)
        if memory.dropped != self._dropped and memory.used_share > OVERFLOW_SHARE:
            self.is_sampling = True
            self._full_since = now - 2 * STANDING_SECONDS
            self._began, self._calm_since = now - min(seconds, PERIOD_SECONDS), now
            self._sample(batch, count, count)
            self._tick()
        self._dropped = memory.dropped

    def discards(self, host: str) -> bool:
        """Return whether to discard a query of this client that was in the queue before the filter."""
        share = self._shares.get(source_of(host), 0.0)
        return random.random() < share

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _sample(self, batch: Datagrams, count: int, most: int) -> None:
        self._read += count
        self._batches += 1
        if count < BATCH:
            self._full_since = None
        else:
            self._full += 1
            if self._full_since is None:
                self._full_since = self._clock()
        for slot in random.sample(range(count), min(count, most)):
            self._samples[source_of(batch.client(slot)[0])] += 1
        has_turned = self._is_standing != self._is_draining
        if has_turned and self._timer is not None and self._clock() - self._began >= DRAIN_SECONDS:
            self._timer.cancel()
            self._tick()

    @property
    def _is_standing(self) -> bool:
        """Whether the receive buffer has not been empty for a while."""
        return self._full_since is not None and self._clock() - self._full_since > STANDING_SECONDS

    def _tick(self) -> None:
        """Renew the shares, until no source has been above its share for a while."""
        memory, now = socket_filter.memory(self._socket), self._clock()
        self._renew(memory, max(1e-6, now - self._began))
        self._samples.clear()
        self._batches = self._full = self._read = 0
        self._began, self._dropped = now, memory.dropped
        if self._shares:
            self._calm_since = now
        elif now - self._calm_since >= CALM_SECONDS:
            self.is_sampling = False
            self._timer, self._capacity = None, 0.0
            return
        self._timer = self._call_later(DRAIN_SECONDS if self._is_draining else PERIOD_SECONDS, self._tick)

    def _renew(self, memory: SocketMemory, seconds: float) -> None:
        """Choose whose datagrams are dropped from now on, by the samples of the period that ends."""
        read_rate = self._read / seconds
        is_first = not self._capacity
        is_standing = self._is_standing
        if is_first or (is_standing and not self._is_draining):
            self._capacity = CAPACITY * read_rate
        elif self._full <= BUSY_SHARE * self._batches:
            self._capacity = max(self._capacity, read_rate) * GROWTH
        offered = self._offered((memory.dropped - self._dropped) % 2**32, seconds)
        previous, self._is_draining = self._shares, is_standing
        self._shares = {
            source: MAX_SHARE if is_standing else share  # until the queue is gone, nothing of the sources that made it
            for source, share in drop_shares(offered, self._capacity).items()
            if source in previous or self._samples[source] >= MIN_SAMPLES
        }
        if self._shares != previous:
            socket_filter.attach(self._socket, {packed(source): share for source, share in self._shares.items()})
        self._note_shed(previous, offered, seconds)
        if is_first and self._shares:
            source = max(self._shares, key=offered.__getitem__)
            log.warning(
                "%s: more queries than can be answered; %s sends some %d of %d a second: what is above its share is "
                "dropped, so that others are answered", self._server_text, source, offered[source],
                sum(offered.values()),
            )  # fmt: skip

    def _offered(self, dropped: int, seconds: float) -> dict[str, float]:
        """Estimate the datagrams that each source sends in a second, those that were dropped included.

        Without a filter the kernel drops of all sources alike; with one, of the sources in it alone.
        """
        per_sample = self._read / max(1, self._samples.total())
        read = {source: count * per_sample for source, count in self._samples.items()}
        if not self._shares:
            scale = (self._read + dropped) / max(1, self._read) / seconds
            self._sent = {source: count * scale for source, count in read.items()}
            return self._sent
        limited = dropped + sum(read.get(source, 0.0) for source in self._shares)
        weights = {source: read.get(source, 0.0) / (1 - share) for source, share in self._shares.items()}
        if any(self._samples[source] < MIN_SAMPLES for source in self._shares):
            weights = {source: self._sent[source] for source in self._shares}
        scale = limited / max(1e-6, sum(weights.values()))
        counts = {**read, **{source: weight * scale for source, weight in weights.items()}}
        self._sent = {source: count / seconds for source, count in counts.items()}
        return self._sent

    def _note_shed(self, shares: Mapping[str, float], offered: Mapping[str, float], seconds: float) -> None:
        """Count what was dropped of each source in the period that ends."""
        for source, share in shares.items():
            count = round(share * offered.get(source, 0.0) * seconds)
            self._shed.value += count
            if count:
                self._tap.shed(source, Shed.SHARE, count)


def drop_shares(offered: Mapping[str, float], capacity: float) -> dict[str, float]:
    """Return the share to drop of each source that offers more than its fair share of a capacity (max-min fairness).

    At most as many as a filter has sources, those that offer most.
    """
    fair = _fair_rate(sorted(offered.values()), capacity)
    above = sorted(((rate, source) for source, rate in offered.items() if rate > fair), reverse=True)
    return {source: min(MAX_SHARE, 1 - fair / rate) for rate, source in above[:MAX_SOURCES]}


def _fair_rate(rates: list[float], capacity: float) -> float:
    """Return the rate up to which each source is served: the smallest first, until the capacity is used."""
    for number, rate in enumerate(rates):
        share = capacity / (len(rates) - number)
        if rate > share:
            return share
        capacity -= rate
    return math.inf


def source_of(host: str) -> str:
    """Return what counts as one source: an IPv4 address, or the /64 of an IPv6 address, of which a client has many."""
    address = address_of(host)
    return f"{network_of(address)}/64" if ":" in address else address


def packed(source: str) -> bytes:
    """Pack a source as `host.udp.socket_filter` knows it."""
    if ":" not in source:
        return socket.inet_pton(socket.AF_INET, source)
    address = source.removesuffix("/64").partition("%")[0]
    return socket.inet_pton(socket.AF_INET6, address)[: socket_filter.IPV6_BYTES]
