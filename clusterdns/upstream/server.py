"""One upstream: how it is asked, whether it is up, and what is known of it.

An exchange is one question over the transport that its address and the client's choose; a truncated UDP reply is
asked again over TCP at once. Health is checked only after an exchange failed, and until a check is answered. Which
upstream is asked, and how often, is `pool`'s.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from clusterdns.telemetry.metrics import Histogram, Registry, Series
from clusterdns.upstream.address import DNS, HTTPS, TLS, Address
from clusterdns.upstream.datagram import Datagrams
from clusterdns.upstream.failure import ExchangeFailed, broken
from clusterdns.upstream.https import Https
from clusterdns.upstream.messages import make_probe
from clusterdns.upstream.question import Question
from clusterdns.upstream.stream import MAX_CONNECTIONS, Streams, StreamSettings
from clusterdns.wire import codes
from clusterdns.wire.decode import Message, decode
from clusterdns.wire.header import TC, Malformed
from clusterdns.wire.name import ROOT

CASE_MEMORY_SECONDS = 600.0  # an upstream that does not keep letter case is tried again after
HEALTH_SECONDS = 1.0  # a check's time-out
MIN_INTERVAL_SECONDS = 0.05  # between checks; a refused port answers at once
TIME_BOUNDS = tuple(0.00025 * 2**power for power in range(16))


@dataclass(frozen=True)
class ServerSettings:
    """How upstreams are asked and checked."""

    read_seconds: float = 2.0
    streams: StreamSettings = field(default_factory=StreamSettings)
    https_method: str = "POST"
    has_to_stream: bool = False  # force_tcp: health checks too
    source: str = ""
    max_fails: int = 2
    check_seconds: float = 0.5
    check_name: bytes = ROOT
    check_recurses: bool = True


class Counters:
    """The families of all upstreams of one directive's name."""

    def __init__(self, registry: Registry, proxy_name: str) -> None:
        self.proxy_name = proxy_name
        upstream = ("proxy_name", "to")
        self.durations = registry.histogram(
            "coredns_proxy_request_duration_seconds", "Time taken by each upstream to answer.", TIME_BOUNDS, *upstream,
            "rcode",
        )  # fmt: skip
        self.check_failures = registry.counter(
            "coredns_proxy_healthcheck_failures_total", "Health checks that an upstream failed.", *upstream
        )
        self.reused = registry.counter(
            "coredns_proxy_conn_cache_hits_total", "Exchanges over a connection that was there.", *upstream, "proto"
        )
        self.opened = registry.counter(
            "coredns_proxy_conn_cache_misses_total", "Exchanges that opened a connection or socket.", *upstream, "proto"
        )


class Given(NamedTuple):
    """A reply, and from whom."""

    message: Message
    server: "Server"


class Server:
    """One upstream. Lives as long as its configuration."""

    def __init__(self, address: Address, settings: ServerSettings, datagrams: Datagrams, counters: Counters) -> None:
        self.address = address
        self.text = address.host_port
        self.fails = 0  # health checks in a row
        self.is_looping = False  # what it is asked comes back to this process: the `loop` directive's to say
        self._settings = settings
        self._datagrams = datagrams
        self._counters = counters
        self._streams = Streams(address, settings.streams, is_tls=address.transport == TLS)
        self._https = Https(address, settings.streams, settings.https_method) if address.transport == HTTPS else None
        self._to: Any = None
        self._source = (settings.source, 0) if settings.source else None
        self._forgets_case_until = 0.0
        self._check: asyncio.Task[None] | None = None
        self._durations: dict[int, Histogram] = {}
        self._udp_opened: Series | None = None

    @property
    def is_down(self) -> bool:
        """Whether more checks failed in a row than may."""
        limit = self._settings.max_fails
        return bool(limit) and self.fails > limit

    async def ask(self, question: Question, seconds: float) -> Given:
        """One exchange of at most this long. Raises ExchangeFailed."""
        started = monotonic()
        message = await self._exchange(question, seconds)
        histogram = self._durations.get(message.rcode)
        if histogram is None:
            labels = (self._counters.proxy_name, self.text, codes.rcode_text(message.rcode))
            histogram = self._durations[message.rcode] = self._counters.durations.labels(*labels)
        histogram.observe(monotonic() - started)
        return Given(message, self)

    async def _exchange(self, question: Question, seconds: float) -> Message:
        if self._https is not None:
            return self._decoded(await self._https.ask(question, seconds))
        if question.is_stream or self.address.transport != DNS:
            return self._decoded(await self._over_stream(question, seconds))
        packet = await self._over_udp(question, seconds)
        cut: Message | None = None
        try:
            message = decode(packet)
            if not message.flags & TC:
                return message
            cut = message
        except Malformed:
            pass  # cut without saying so, or with TC amid a record: the same question over TCP tells
        try:
            return self._decoded(await self._over_stream(question, seconds))
        except ExchangeFailed as failed:
            if cut is None and failed.info_code == codes.EDE_INVALID_DATA:
                raise  # malformed either way: the next upstream's turn
            return cut or _only_truncated(packet)

    async def _over_udp(self, question: Question, seconds: float) -> bytes:
        to = self._to
        if to is None:
            try:
                to = self._to = self.address.socket_address()
            except OSError as error:
                raise broken(f"dial udp {self.text}", "interface", error) from None
        if self._udp_opened is None:
            labels = (self._counters.proxy_name, self.text, "udp")
            self._udp_opened = self._counters.opened.labels(*labels)
            self._counters.reused.labels(*labels)  # stays at 0, for those who divide by the sum
        self._udp_opened.value += 1
        keeps_case = monotonic() >= self._forgets_case_until
        exchange = await self._datagrams.ask(
            question,
            to,
            seconds,
            self._source,
            is_cased=keeps_case,
            rescue=partial(self._over_stream, question, seconds),
        )  # fmt: skip
        if exchange.lost_case:
            self._forgets_case_until = monotonic() + CASE_MEMORY_SECONDS
        return exchange.reply

    async def _over_stream(self, question: Question, seconds: float) -> bytes:
        deadline = monotonic() + seconds
        for attempt in range(MAX_CONNECTIONS + 1):
            try:
                reply, was_there = await self._streams.ask(
                    question, max(0.0, deadline - monotonic()), has_to_be_new=attempt > 0
                )
            except ExchangeFailed as failed:
                if not failed.is_stale or attempt == MAX_CONNECTIONS:
                    raise
                continue
            family = self._counters.reused if was_there else self._counters.opened
            proto = "tcp-tls" if self.address.transport == TLS else "tcp"
            family.labels(self._counters.proxy_name, self.text, proto).value += 1
            return reply
        raise AssertionError("the last attempt returns or raises")

    def _decoded(self, packet: bytes) -> Message:
        try:
            return decode(packet)
        except Malformed as problem:
            raise ExchangeFailed(f"malformed reply of {self.text}: {problem}", codes.EDE_INVALID_DATA) from None

    async def probe(self, name: bytes, qtype: int, seconds: float) -> None:
        """Ask a question of this server's own and drop the reply. Raises ExchangeFailed where none arrives in time."""
        await self._exchange(make_probe(name, qtype, recurses=True, is_stream=self._settings.has_to_stream), seconds)

    # Health

    def begin_check(self) -> None:
        """Check until it answers, unless that is going on or is not wanted."""
        if self._settings.max_fails and self._check is None:
            self._check = asyncio.get_running_loop().create_task(self._check_until_healthy())
            self._check.add_done_callback(self._checked)

    def _checked(self, task: "asyncio.Task[None]") -> None:
        self._check = None

    async def _check_until_healthy(self) -> None:
        settings = self._settings
        question = make_probe(
            settings.check_name, codes.NS, recurses=settings.check_recurses, is_stream=settings.has_to_stream
        )
        while True:
            try:
                await self._exchange(question, HEALTH_SECONDS)
            except ExchangeFailed as failed:
                failed.__traceback__ = None  # the frames in it hold the future that holds it
                self.fails += 1
                self._counters.check_failures.labels(self._counters.proxy_name, self.text).value += 1
                await asyncio.sleep(max(settings.check_seconds, MIN_INTERVAL_SECONDS))
            else:
                self.fails = 0
                return

    async def close(self) -> None:
        """End the check and close the connections."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)
        self._streams.close()
        if self._https is not None:
            await self._https.close()


def _only_truncated(packet: bytes) -> Message:
    """What is left of a reply that arrived in part: its response code, and that there is more."""
    flags = int.from_bytes(packet[2:4], "big") | TC
    return Message(packet[:2], flags, b"", flags & 0xF, (), (), (), None)
