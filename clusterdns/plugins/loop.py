"""The `loop` directive: finds out whether what is forwarded comes back, and then stops forwarding.

A question that nobody else would ask (HINFO of a random name in the block's zone) is handed to the plugins below, which
is where `forward` stands. If it comes in through the front door while it is being asked there, the upstream leads back
to this server. Waiting for it to come round a third time, as CoreDNS does, would wait in vain: `forward` asks a
question once at a time. Nothing is forwarded by this block from then on; names that are held here are answered, and
the probe is repeated until the way is free.
"""

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Sequence

from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block
from clusterdns.plugins.handler import BlockContext, Doc, Handler, Part, Plugin
from clusterdns.plugins.logline import client_text
from clusterdns.telemetry.metrics import Series
from clusterdns.wire import codes
from clusterdns.wire.name import MAX_NAME_BYTES, from_labels, from_text, labels, to_text
from clusterdns.wire.query import RD, Query, read
from clusterdns.wire.reply import Reply, failure

RETRY_SECONDS = 1.0  # until upstreams answer
RETRIES = 30  # as many as CoreDNS makes; after that they are rare
RECHECK_SECONDS = 30.0  # of a loop: whether it is gone
MAX_RANDOM = 2**63 - 1
EXPLANATION = "forwarding is stopped: it leads back to this server"
STOPPED = "Nothing is forwarded for zone %s until that ends; names held here are answered"
MEND = (
    "Mostly the node's /etc/resolv.conf names a resolver that asks this server again (127.0.0.53, or the cluster's own "
    "DNS): give the kubelet --resolv-conf=/run/systemd/resolve/resolv.conf (resolvConf in its configuration), or name "
    "the upstreams in 'forward'"
)

Sleep = Callable[[float], Awaitable[object]]

log = logging.getLogger("clusterdns.plugin.loop")


class Watch:
    """Whether one block's forwarding comes back. Lives as long as its configuration."""

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
        """`listening_at` is host:port for the log, `detected` above 0 while there is a loop, `end` ends the process."""
        self.is_looping = False
        self._zone = zone
        self._listening_at = listening_at
        self._detected = detected
        self._is_fatal = is_fatal
        self._sleep = sleep
        self._end = end
        self._asked = b""  # the name of the probe that is under way
        self._came_back = False
        self._next: Handler | None = None
        self._task: asyncio.Task[None] | None = None

    # The chain

    def wrap(self, following: Handler) -> Handler:
        """Recognises the probe, and stands before `forward` while there is a loop."""
        self._next = following

        async def handle(asked: Query) -> Reply:
            if asked.qtype == codes.HINFO and asked.name == self._asked:
                self._note(asked)
            if self.is_looping:
                return self._refusal()
            return await following(asked)

        return handle

    def _note(self, asked: Query) -> None:
        self._came_back = True
        if self.is_looping:
            return
        self.is_looping = True
        self._detected.value += 1
        level = logging.CRITICAL if self._is_fatal else logging.ERROR
        log.log(
            level,
            'Loop (%s:%d -> %s) detected for zone "%s", see https://coredns.io/plugins/loop#troubleshooting. '
            'Query: "HINFO %s"',
            client_text(asked.client), asked.client[1], self._listening_at, to_text(self._zone), to_text(asked.name),
        )  # fmt: skip
        log.log(level, MEND)
        if self._is_fatal:
            self._end(1)
        else:
            log.error(STOPPED, to_text(self._zone))

    def _forgive(self) -> None:
        if self.is_looping:
            self.is_looping = False
            self._detected.value -= 1  # not 0: the configuration that comes next may have found it already

    def _refusal(self) -> Reply:
        reply = failure(codes.SERVFAIL, f"plugin/loop: {EXPLANATION}")
        reply.explain(codes.EDE_NO_AUTHORITY, EXPLANATION)
        return reply

    def remark(self) -> str:
        """What /ready adds."""
        return f"zone {to_text(self._zone)}: {EXPLANATION}" if self.is_looping else ""

    # The probe

    async def serving(self) -> None:
        """Begin to probe: what comes back can be heard now."""
        self._task = asyncio.create_task(self._watch(), name=f"loop probe of {to_text(self._zone)}")

    async def stop(self) -> None:
        """Probe no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._forgive()

    async def _watch(self) -> None:
        tries = 0
        try:
            while not await self.probe():
                tries += 1
                is_early = tries < RETRIES and not self.is_looping
                await self._sleep(RETRY_SECONDS if is_early else RECHECK_SECONDS)
        except Exception:  # the task's edge: without the probe the block works on
            log.exception("Probing for a loop ended")

    async def probe(self) -> bool:
        """Ask once; whether an upstream answered and nothing came back, so that all is well."""
        assert self._next is not None
        asked = probe_query(self._zone)
        self._asked, self._came_back = asked.name, False
        try:
            reply = await self._next(asked)
        finally:
            self._asked = b""
        if self._came_back or (reply.rcode == codes.SERVFAIL and not reply.is_upstream):
            return False
        if self.is_looping:
            self._forgive()
            log.info("The loop for zone %s is gone: forwarding again", to_text(self._zone))
        return True


def probe_query(zone: bytes) -> Query:
    """A question that nobody else asks, as a client on this host would ask it."""
    numbers = [b"%d" % random.randint(0, MAX_RANDOM) for _ in range(2)]
    below = labels(zone)
    if len(zone) + sum(len(number) + 1 for number in numbers) > MAX_NAME_BYTES:
        below = []  # a zone whose names are nearly full
    name = from_labels(*numbers, *below)
    header = (0).to_bytes(2, "big") + RD.to_bytes(2, "big") + (1).to_bytes(2, "big") + bytes(6)
    asked = read(header + name + codes.HINFO.to_bytes(2, "big") + codes.IN.to_bytes(2, "big"))
    assert isinstance(asked, Query)
    asked.transport = "udp"
    asked.client = ("127.0.0.1", 0)
    asked.lookup = _no_lookup
    return asked


async def _no_lookup(query: Query, name: bytes, qtype: int) -> Reply:
    """The probe is about forwarding alone."""
    return failure(codes.SERVFAIL)


def _fatal(is_fatal: bool, line: Line) -> bool:
    line.no_arguments()
    return True


OPTIONS = (Option("fatal", "forwarding stops, the server goes on", "Ends the process, with status 1.", _fatal),)


def parse(directives: Sequence[Directive], context: BlockContext) -> bool:
    """`loop { fatal }`; whether a loop is fatal. Raises CorefileError."""
    directives[0].no_arguments()
    return read_block(False, directives, OPTIONS)


def build(is_fatal: bool, context: BlockContext) -> Part:
    """The watch over the first zone of the block."""
    zone_text = context.zones_text[0]
    detected = context.registry.gauge(
        "clusterdns_loop_detected", "Above 0 while forwarding leads back to this server.", "server", "zone"
    ).labels(context.server_text, zone_text)
    listening_at = context.server_text.partition("://")[2]
    watch = Watch(from_text(zone_text), listening_at, detected, is_fatal=is_fatal)
    return Part("loop", wrap=watch.wrap, serving=watch.serving, stop=watch.stop, remark=watch.remark)


DOC = Doc(
    usage=("loop",),
    about="Finds out whether `forward` leads back to this server. If so, the block forwards nothing (SERVFAIL with an "
    "extended error) until the loop is gone, says so in the log, in `/ready` and in the metric "
    "`clusterdns_loop_detected`, and goes on answering what it holds itself.",
    options=OPTIONS,
    example="loop\nwhoami",
    better="names of the cluster go on being answered, where CoreDNS ends the process; found when the probe first "
    "comes back; over by itself when the upstream is mended.",
)
PLUGIN = Plugin("loop", parse, build, once=True, doc=DOC)
