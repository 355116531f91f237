"""The `loop` directive: finds the upstreams of `forward` that lead back to this server, so that they are not asked.

Each upstream is probed: asked for the HINFO of a random name in the zone that is forwarded to it. If the probe arrives
as a query while the upstream is being asked, there is a loop, and `forward` passes over the upstream. CoreDNS waits for
the probe to arrive three times, which cannot happen here, because `forward` asks a question once at a time. Queries for
the cluster's names are answered all along. An upstream that loops is probed every RECHECK_SECONDS until it no longer
does.
"""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from clusterdns.chain import (
    BlockContext,
    Doc,
    Handler,
    Handling,
    LifeCycle,
    Part,
    Plugin,
    Query,
    Readiness,
    Reply,
    failure,
)
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.forward.exports import ForwardExports
from clusterdns.telemetry.logs import bracketed
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.wire import codes
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT, from_labels, from_text, labels, to_text

RETRY_SECONDS = 1.0  # between the first probes of an upstream that does not answer
RETRIES = 30  # as many as CoreDNS makes; after that an upstream is probed every RECHECK_SECONDS
RECHECK_SECONDS = 30.0  # between probes of an upstream that loops
PROBE_SECONDS = 2.0  # a probe's time-out
MAX_RANDOM = 2**63 - 1
STOPPED = "Upstream %s is not asked while it leads back to this server; names in zones of this server are answered"
STARTED = "Upstream %s no longer leads back to this server; it is asked again"
HINT = (
    "Usually the node's /etc/resolv.conf names a resolver that asks this server (127.0.0.53, or the cluster's own "
    "DNS): start the kubelet with --resolv-conf=/run/systemd/resolve/resolv.conf (resolvConf in its configuration), or "
    "name the upstreams in 'forward'"
)

Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger("clusterdns.plugin.loop")


class ProbedUpstream(Protocol):
    """An upstream of `forward`, as far as `loop` uses it."""

    text: str
    is_looping: bool  # set here; `forward` does not ask such an upstream

    async def probe(self, name: bytes, qtype: int, seconds: float) -> None:
        """Ask for a name and type. Raises ExchangeFailed where no reply arrives in time."""


ZoneUpstream = tuple[bytes, ProbedUpstream]  # with the zone of its `forward` line


class LoopDetector:
    """The upstreams of one block, and which of them lead back to this server. Lives as long as its configuration."""

    def __init__(
        self,
        zone: bytes,
        listening_at: str,
        detected: Series,
        *,
        is_fatal: bool = False,
        sleep: Sleep = asyncio.sleep,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """`listening_at` is host:port for the log, `detected` counts upstreams that loop, `end` ends the process."""
        self._zone = zone
        self._listening_at = listening_at
        self._detected = detected
        self._is_fatal = is_fatal
        self._sleep = sleep
        self._end = end
        self._upstreams: Sequence[ZoneUpstream] = ()
        self._probed: ProbedUpstream | None = None
        self._probe_name = b""  # of the probe under way
        self._has_returned = False  # the probe under way arrived as a query
        self._task: asyncio.Task[None] | None = None

    def wrap(self, upstreams: Sequence[ZoneUpstream], following: Handler) -> Handler:
        """Make the handler, which recognises probes of these upstreams."""
        self._upstreams = upstreams

        def handle(query: Query) -> Coroutine[Any, Any, Reply]:
            if query.qtype == codes.HINFO and query.name == self._probe_name:
                return self._answer_probe(query)
            return following(query)  # without `await`, which would cost every query a frame

        return handle

    async def _answer_probe(self, query: Query) -> Reply:
        self._mark_loop(query)
        return failure(codes.SERVFAIL, "loop: this server's own probe has returned", is_logged=False)

    def _mark_loop(self, query: Query) -> None:
        """Mark the probed upstream as looping, and log it."""
        self._has_returned = True
        upstream = self._probed
        if upstream is None or upstream.is_looping:
            return
        upstream.is_looping = True
        self._detected.value += 1
        level = logging.CRITICAL if self._is_fatal else logging.ERROR
        log.log(
            level,
            'Loop (%s:%d -> %s) detected for zone "%s", see https://coredns.io/plugins/loop#troubleshooting. '
            'Query: "HINFO %s"',
            bracketed(query.client_text), query.client[1], self._listening_at, to_text(self._zone), to_text(query.name),
        )  # fmt: skip
        log.log(level, HINT)
        if self._is_fatal:
            self._end(1)
        else:
            log.error(STOPPED, upstream.text)

    def _clear_loop(self, upstream: ProbedUpstream) -> None:
        if upstream.is_looping:
            upstream.is_looping = False
            self._detected.value -= 1  # not 0: the next configuration may have counted a loop already

    def warning(self) -> str:
        """Name the upstreams that loop, for /ready; empty where none does."""
        looping = ", ".join(upstream.text for _, upstream in self._upstreams if upstream.is_looping)
        return f"zone {to_text(self._zone)}: {looping} leads back to this server and is not asked" if looping else ""

    async def serving(self) -> None:
        """Begin to probe, now that a probe which comes back can arrive."""
        self._task = asyncio.create_task(self._probe_all(), name=f"loop probe of {to_text(self._zone)}")

    async def stop(self) -> None:
        """Stop probing, and let `forward` ask every upstream."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for _, upstream in self._upstreams:
            self._clear_loop(upstream)

    async def _probe_all(self) -> None:
        """Probe every upstream until it answers and does not loop."""
        left = self._upstreams
        tries = 0
        try:
            while left := [one for one in left if not await self.probe(*one)]:
                tries += 1
                is_early = tries < RETRIES and not any(upstream.is_looping for _, upstream in left)
                await self._sleep(RETRY_SECONDS if is_early else RECHECK_SECONDS)
        except Exception:  # the task's edge: the block works without probes
            log.exception("Probing for loops ended")

    async def probe(self, zone: bytes, upstream: ProbedUpstream) -> bool:
        """Probe an upstream once; whether it answered and the probe did not come back.

        The probe's name is one that `forward` sends there. A name outside that zone would not do: an upstream may hold
        one zone and send every other name back.
        """
        name = probe_name(max(zone, self._zone, key=len))
        self._probed, self._probe_name, self._has_returned = upstream, name, False
        try:
            await upstream.probe(name, codes.HINFO, PROBE_SECONDS)
        except ExchangeFailed as failed:
            log.debug("probe of %s: %s", upstream.text, failed)
            return False
        finally:
            self._probed, self._probe_name = None, b""
        if self._has_returned:
            return False
        if upstream.is_looping:
            self._clear_loop(upstream)
            log.info(STARTED, upstream.text)
        return True


def probe_name(zone: bytes) -> bytes:
    """Make a random name in a zone; in the root where the zone's name leaves no space."""
    numbers = [b"%d" % random.randint(0, MAX_RANDOM) for _ in range(2)]
    is_too_long = len(zone) + sum(len(number) + 1 for number in numbers) > MAX_NAME_BYTES
    return from_labels(*numbers, *labels(ROOT if is_too_long else zone))


def _fatal(is_fatal: bool, line: Line) -> bool:
    line.no_arguments()
    return True


OPTIONS = (Option("fatal", "the upstream is not asked", "A loop ends the process with status 1.", _fatal),)


def parse(directives: Sequence[Directive], context: BlockContext) -> bool:
    """Parse `loop { fatal }`; whether a loop is fatal. Raises CorefileErrors."""
    directives[0].no_arguments()
    return read_block(False, directives, OPTIONS)


def build(is_fatal: bool, context: BlockContext) -> Part:
    """Make the part that detects loops in the first zone of the block."""
    zone_text = context.zones_text[0]
    detected = context.registry.gauge(
        "clusterdns_loop_detected", "Upstreams that lead back to this server.", "server", "zone"
    ).labels(context.server_text, zone_text)
    listening_at = context.server_text.partition("://")[2]
    detector = LoopDetector(from_text(zone_text), listening_at, detected, is_fatal=is_fatal)

    def wrap(following: Handler) -> Handler:
        forwarding = context.export(ForwardExports)
        return detector.wrap(forwarding.upstreams if forwarding is not None else (), following)

    return Part(
        "loop",
        handling=Handling(wrap=wrap),
        life=LifeCycle(serving=detector.serving, stop=detector.stop),
        readiness=Readiness(warning=detector.warning),
    )


DOC = Doc(
    usage=("loop",),
    about="Finds the upstreams of `forward` that lead back to this server. They are not asked while they do; if no "
    "other upstream is left the answer is SERVFAIL with an extended error. The log, `/ready` and the metric "
    "`clusterdns_loop_detected` report the loop. Names in zones of this server are answered all along.",
    options=OPTIONS,
    example="loop\nforward . 127.0.0.53",
    better="Names of the cluster are answered, where CoreDNS ends the process; every upstream is probed, not a random "
    "one; forwarding resumes when an upstream no longer leads back.",
)
PLUGIN = Plugin("loop", parse, build, once=True, doc=DOC)
