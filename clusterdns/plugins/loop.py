"""The `loop` directive: finds out which upstreams of `forward` lead back to this server, and has them left alone.

Each is asked something that nobody else would ask: HINFO of a random name in the zone that is forwarded to it. If that
comes in through the front door while the upstream is being asked, there is a loop, and `forward` passes the upstream
over. Waiting for it to come round a third time, as CoreDNS does, would wait in vain: `forward` asks a question once at
a time. Names that are held here are answered all along, and upstreams that loop are probed until they do not any more.
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
from clusterdns.plugins.log.line import client_text
from clusterdns.telemetry.metrics import Series
from clusterdns.upstream.failure import ExchangeFailed
from clusterdns.wire import codes
from clusterdns.wire.name import MAX_NAME_BYTES, ROOT, from_labels, from_text, labels, to_text

RETRY_SECONDS = 1.0  # until upstreams answer
RETRIES = 30  # as many as CoreDNS makes; after that they are rare
RECHECK_SECONDS = 30.0  # of a loop: whether it is gone
PROBE_SECONDS = 2.0
MAX_RANDOM = 2**63 - 1
STOPPED = "Upstream %s is not asked until that ends; names held here are answered"
HINT = (
    "Mostly the node's /etc/resolv.conf names a resolver that asks this server again (127.0.0.53, or the cluster's own "
    "DNS): give the kubelet --resolv-conf=/run/systemd/resolve/resolv.conf (resolvConf in its configuration), or name "
    "the upstreams in 'forward'"
)

Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger("clusterdns.plugin.loop")


class Upstream(Protocol):
    """What `forward` offers for each of its upstreams, beside the zone that it is asked about."""

    text: str
    is_looping: bool  # set here; such are not asked

    async def probe(self, name: bytes, qtype: int, seconds: float) -> None:
        """Ask it. Raises ExchangeFailed where it does not answer."""


Way = tuple[bytes, Upstream]


class Watch:
    """Which upstreams of one block lead back. Lives as long as its configuration."""

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
        self._ways: Sequence[Way] = ()
        self._probed: Upstream | None = None
        self._asked = b""  # the name of the probe that is under way
        self._came_back = False
        self._task: asyncio.Task[None] | None = None

    def wrap(self, ways: Sequence[Way], following: Handler) -> Handler:
        """Recognises the probe; the ways are those that stand open below."""
        self._ways = ways

        def handle(query: Query) -> Coroutine[Any, Any, Reply]:
            if query.qtype == codes.HINFO and query.name == self._asked:
                return self._stop(query)
            return following(query)  # nothing of ours waits for it

        return handle

    async def _stop(self, query: Query) -> Reply:
        self._note(query)
        return failure(codes.SERVFAIL)

    def _note(self, query: Query) -> None:
        self._came_back = True
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
            client_text(query), query.client[1], self._listening_at, to_text(self._zone), to_text(query.name),
        )  # fmt: skip
        log.log(level, HINT)
        if self._is_fatal:
            self._end(1)
        else:
            log.error(STOPPED, upstream.text)

    def _forgive(self, upstream: Upstream) -> None:
        if upstream.is_looping:
            upstream.is_looping = False
            self._detected.value -= 1  # not 0: the configuration that comes next may have found one already

    def remark(self) -> str:
        """What /ready adds."""
        looping = ", ".join(upstream.text for _, upstream in self._ways if upstream.is_looping)
        return f"zone {to_text(self._zone)}: {looping} leads back to this server and is not asked" if looping else ""

    async def serving(self) -> None:
        """Begin to probe: what comes back can be heard now."""
        self._task = asyncio.create_task(self._watch(), name=f"loop probe of {to_text(self._zone)}")

    async def stop(self) -> None:
        """Probe no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for _, upstream in self._ways:
            self._forgive(upstream)

    async def _watch(self) -> None:
        left = self._ways
        tries = 0
        try:
            while left := [way for way in left if not await self.probe(*way)]:
                tries += 1
                is_early = tries < RETRIES and not any(upstream.is_looping for _, upstream in left)
                await self._sleep(RETRY_SECONDS if is_early else RECHECK_SECONDS)
        except Exception:  # the task's edge: without probes the block works on
            log.exception("Probing for loops ended")

    async def probe(self, zone: bytes, upstream: Upstream) -> bool:
        """Ask it once; whether it answered and nothing came back, so that all is well.

        The name is one that is really forwarded there: a server may well hold the zone that it is asked about and send
        everything else back here.
        """
        name = probe_name(max(zone, self._zone, key=len))
        self._probed, self._asked, self._came_back = upstream, name, False
        try:
            await upstream.probe(self._asked, codes.HINFO, PROBE_SECONDS)
        except ExchangeFailed as failed:
            log.debug("probe of %s: %s", upstream.text, failed)
            return False
        finally:
            self._probed, self._asked = None, b""
        if self._came_back:
            return False
        if upstream.is_looping:
            self._forgive(upstream)
            log.info("Upstream %s does not lead back any more: it is asked again", upstream.text)
        return True


def probe_name(zone: bytes) -> bytes:
    """A name of the zone that nobody else asks for; of a zone whose names are nearly full, one of the root."""
    numbers = [b"%d" % random.randint(0, MAX_RANDOM) for _ in range(2)]
    is_too_long = len(zone) + sum(len(number) + 1 for number in numbers) > MAX_NAME_BYTES
    return from_labels(*numbers, *labels(ROOT if is_too_long else zone))


def _fatal(is_fatal: bool, line: Line) -> bool:
    line.no_arguments()
    return True


OPTIONS = (
    Option("fatal", "the upstream is not asked, the server goes on", "A loop ends the process, with status 1.", _fatal),
)


def parse(directives: Sequence[Directive], context: BlockContext) -> bool:
    """`loop { fatal }`; whether a loop is fatal. Raises CorefileError."""
    directives[0].no_arguments()
    return read_block(False, directives, OPTIONS)


def build(is_fatal: bool, context: BlockContext) -> Part:
    """The watch, for the first zone of the block."""
    zone_text = context.zones_text[0]
    detected = context.registry.gauge(
        "clusterdns_loop_detected", "Upstreams that lead back to this server.", "server", "zone"
    ).labels(context.server_text, zone_text)
    listening_at = context.server_text.partition("://")[2]
    watch = Watch(from_text(zone_text), listening_at, detected, is_fatal=is_fatal)

    def wrap(following: Handler) -> Handler:
        forwarding = context.export(ForwardExports)
        return watch.wrap(forwarding.upstreams if forwarding is not None else (), following)

    return Part(
        "loop",
        handling=Handling(wrap=wrap),
        life=LifeCycle(serving=watch.serving, stop=watch.stop),
        readiness=Readiness(warning=watch.remark),
    )


DOC = Doc(
    usage=("loop",),
    about="Finds out which upstreams of `forward` lead back to this server. Such are not asked (where none is left: "
    "SERVFAIL with an extended error) until they do not any more; the log, `/ready` and the metric "
    "`clusterdns_loop_detected` say so, and what is held here is answered all along.",
    options=OPTIONS,
    example="loop\nforward . 127.0.0.53",
    better="names of the cluster go on being answered, where CoreDNS ends the process; each upstream is probed, not a "
    "random one; ends by itself when the upstream no longer leads back.",
)
PLUGIN = Plugin("loop", parse, build, once=True, doc=DOC)
