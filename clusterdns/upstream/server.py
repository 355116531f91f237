"""One upstream: how it is asked, and whether it is up.

An exchange is one question over the transport that the upstream's address and the client's transport call for; a
truncated reply over UDP is asked again over TCP at once. Health is checked only after a failed exchange, until a check
succeeds. `pool` chooses the upstream for a question, and counts the attempts.
"""

import asyncio
from functools import partial
from time import monotonic
from typing import Any, NamedTuple

from clusterdns.telemetry.metrics import Histogram, Registry, Series
from clusterdns.upstream.address import DNS, HTTPS, TLS, Address
from clusterdns.upstream.datagram import UdpExchanges
from clusterdns.upstream.failure import ExchangeFailed, broken
from clusterdns.upstream.https import HttpsExchanges
from clusterdns.upstream.https.response import aged
from clusterdns.upstream.messages import make_probe
from clusterdns.upstream.question import Question
from clusterdns.upstream.relevance import relevant
from clusterdns.upstream.settings import HealthCheckSettings, TransportSettings
from clusterdns.upstream.stream import MAX_CONNECTIONS, UpstreamConnections
from clusterdns.wire import codes
from clusterdns.wire.decode import Message, decode, decode_in_steps
from clusterdns.wire.header import TC, Malformed

LOWER_CASE_SECONDS = 600.0  # an upstream that did not preserve case is asked in lower case for this time
HEALTH_SECONDS = 1.0  # a check's time-out
ONE_STEP_BYTES = 4096  # a reply of no more is decoded at once: it has at most 370 records
MIN_INTERVAL_SECONDS = 0.05  # between checks, because a refused port answers at once
TIME_BOUNDS = tuple(0.00025 * 2**power for power in range(16))


class UpstreamMetrics:
    """The metric families of all upstreams of one directive."""

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
            "coredns_proxy_conn_cache_hits_total", "Exchanges over a connection that was open.", *upstream, "proto"
        )
        self.opened = registry.counter(
            "coredns_proxy_conn_cache_misses_total", "Exchanges that opened a connection or socket.", *upstream, "proto"
        )


class UpstreamReply(NamedTuple):
    """A reply, and the upstream that sent it."""

    message: Message
    upstream: "Upstream"


class Upstream:
    """One upstream. Lives as long as its configuration."""

    def __init__(
        self,
        address: Address,
        transport: TransportSettings,
        health: HealthCheckSettings,
        udp: UdpExchanges,
        metrics: UpstreamMetrics,
    ) -> None:
        self.address = address
        self.text = address.host_port
        self.fails = 0  # health checks in a row
        self.is_looping = False  # set by `loop`: questions to this upstream come back to this server
        self._transport = transport
        self._health = health
        self._udp = udp
        self._metrics = metrics
        self._connections = UpstreamConnections(address, transport, transport.tls if address.transport == TLS else None)
        self._https = HttpsExchanges(address, transport) if address.transport == HTTPS else None
        self._to: Any = None
        self._source = (transport.source, 0) if transport.source else None
        self._random_case_at = 0.0  # on the event loop's clock: until then names are sent in lower case
        self._check: asyncio.Task[None] | None = None
        self._durations: dict[int, Histogram] = {}
        self._udp_opened: Series | None = None

    @property
    def is_down(self) -> bool:
        """Return whether more than `max_fails` health checks failed in a row."""
        limit = self._health.max_fails
        return bool(limit) and self.fails > limit

    async def ask(self, question: Question, seconds: float) -> UpstreamReply:
        """Run one exchange, of at most `seconds`. Raises ExchangeFailed."""
        started = monotonic()  # finer than the event loop's clock, which counts milliseconds
        message = await self._exchange(question, seconds)
        histogram = self._durations.get(message.rcode)
        if histogram is None:
            labels = (self._metrics.proxy_name, self.text, codes.rcode_text(message.rcode))
            histogram = self._durations[message.rcode] = self._metrics.durations.labels(*labels)
        histogram.observe(monotonic() - started)
        return UpstreamReply(relevant(question, message), self)

    async def _exchange(self, question: Question, seconds: float) -> Message:
        if self._https is not None:
            reply, age = await self._https.ask(question, seconds)
            return aged(await self._decoded(reply), age)
        if question.is_stream or self.address.transport != DNS:
            return await self._decoded(await self._over_stream(question, seconds))
        packet = await self._over_udp(question, seconds)
        cut: Message | None = None
        try:
            message = await _in_steps(packet)
            if not message.flags & TC:
                return message
            cut = message
        except Malformed:
            pass  # perhaps cut short, with or without TC: the reply over TCP is whole
        try:
            return await self._decoded(await self._over_stream(question, seconds))
        except ExchangeFailed as failed:
            if cut is None and failed.info_code == codes.EDE_INVALID_DATA:
                raise  # malformed over TCP too: the next upstream is asked
            return cut or _only_truncated(packet)

    async def _over_udp(self, question: Question, seconds: float) -> bytes:
        to = self._to
        if to is None:
            try:
                to = self._to = self.address.socket_address()
            except OSError as error:
                raise broken(f"dial udp {self.text}", "interface", error) from None
        if self._udp_opened is None:
            labels = (self._metrics.proxy_name, self.text, "udp")
            self._udp_opened = self._metrics.opened.labels(*labels)
            self._metrics.reused.labels(*labels)  # stays at 0, so that the sum of the two exists
        self._udp_opened.value += 1
        exchange = await self._udp.ask(
            question,
            to,
            seconds,
            self._source,
            randomizes_case=not self._random_case_at or asyncio.get_running_loop().time() >= self._random_case_at,
            fallback=partial(self._over_stream, question, seconds),
        )
        if exchange.lost_case:
            self._random_case_at = asyncio.get_running_loop().time() + LOWER_CASE_SECONDS
        return exchange.reply

    async def _over_stream(self, question: Question, seconds: float) -> bytes:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        for attempt in range(MAX_CONNECTIONS + 1):
            try:
                reply, was_open = await self._connections.ask(
                    question, max(0.0, deadline - loop.time()), needs_new=attempt > 0
                )
            except ExchangeFailed as failed:
                if not failed.is_stale or attempt == MAX_CONNECTIONS:
                    raise
                continue
            family = self._metrics.reused if was_open else self._metrics.opened
            proto = "tcp-tls" if self.address.transport == TLS else "tcp"
            family.labels(self._metrics.proxy_name, self.text, proto).value += 1
            return reply
        raise AssertionError("the last attempt returns or raises")

    async def _decoded(self, packet: bytes) -> Message:
        try:
            return await _in_steps(packet)
        except Malformed as problem:
            raise ExchangeFailed(f"malformed reply of {self.text}: {problem}", codes.EDE_INVALID_DATA) from None

    async def probe(self, name: bytes, qtype: int, seconds: float) -> None:
        """Ask a question of this server's own and drop the reply. Raises ExchangeFailed where none arrives in time."""
        await self._exchange(make_probe(name, qtype, recurses=True, is_stream=self._transport.force_tcp), seconds)

    # Health

    def begin_check(self) -> None:
        """Check the upstream until it replies, unless it is being checked or checks are off."""
        if self._health.max_fails and self._check is None:
            self._check = asyncio.get_running_loop().create_task(self._check_until_healthy())
            self._check.add_done_callback(self._checked)

    def _checked(self, task: "asyncio.Task[None]") -> None:
        self._check = None

    async def _check_until_healthy(self) -> None:
        health = self._health
        question = make_probe(health.name, codes.NS, recurses=health.recurses, is_stream=self._transport.force_tcp)
        while True:
            try:
                await self._exchange(question, HEALTH_SECONDS)
            except ExchangeFailed as failed:
                failed.__traceback__ = None  # the frames in it hold the future that holds the failure
                self.fails += 1
                self._metrics.check_failures.labels(self._metrics.proxy_name, self.text).value += 1
                await asyncio.sleep(max(health.interval_seconds, MIN_INTERVAL_SECONDS))
            else:
                self.fails = 0
                return

    async def close(self) -> None:
        """End the check and close the connections."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.gather(self._check, return_exceptions=True)
        self._connections.close()
        if self._https is not None:
            await self._https.close()


async def _in_steps(packet: bytes) -> Message:
    """Decode a message, a long one in several turns of the event loop. Raises Malformed."""
    if len(packet) <= ONE_STEP_BYTES:
        return decode(packet)
    for message in decode_in_steps(packet):
        if message is not None:
            return message
        await asyncio.sleep(0)
    raise AssertionError("the message comes last")


def _only_truncated(packet: bytes) -> Message:
    """Make an empty truncated message of a reply that arrived in part, with its response code."""
    flags = int.from_bytes(packet[2:4], "big") | TC
    return Message(packet[:2], flags, b"", flags & 0xF, (), (), (), None)
