"""A cluster in memory for `python -m bench.stalls`: events and queries, each measured as a turn of the event loop."""

import asyncio
import gc
import json
from collections.abc import Iterable, Sequence
from itertools import count, product
from typing import cast

from msgspec.structs import replace

from bench.turns import Turns
from clusterdns.chain import Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.follow.listing import PagedList
from clusterdns.cluster.api.follow.reflector import Reflector
from clusterdns.cluster.api.follow.retry import RetryQueue, Timing
from clusterdns.cluster.api.follow.watch import Watch
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.imports import ImportZone
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import EndpointSlice, ImportedSlice, Kind, Namespace, Pod, Service, ServiceImport
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.plugins.loadbalance.handler import mark_rotating
from clusterdns.server.dispatch import Dispatch, LargeReply, ListenerContext
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.shared import SharedState
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.telemetry.queries import HitTime, QueryCounters
from clusterdns.wire import codes, name
from testing.api import Manifest
from testing.dns_client import question

_VERSIONS = count(10)  # of the resources, one for each event and page
PAGE_LIMIT = 500
KINDS: dict[str, Kind] = {
    one.__name__: one for one in (Service, EndpointSlice, Namespace, Pod, ServiceImport, ImportedSlice)
}
ZONES = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
QUESTIONS = (
    ("db.prod.svc.cluster.local.", codes.A),
    ("db.prod.svc.cluster.local.", codes.AAAA),
    ("db.prod.svc.cluster.local.", codes.SRV),
    ("_pg._tcp.db.prod.svc.cluster.local.", codes.SRV),
    ("db.db.prod.svc.cluster.local.", codes.A),
    ("db.db.prod.svc.cluster.local.", codes.SRV),
    ("db-7.db.prod.svc.cluster.local.", codes.A),
    ("_pg._tcp.db.prod.svc.cluster.local.", codes.A),
    ("1.0.0.10.in-addr.arpa.", codes.PTR),
)


class Watched:
    """The reflectors of one cluster, its index, and the dispatch with its answer table."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        shared = SharedState()
        self.contexts = [
            ListenerContext(transport, "1", shared.new_table(), HitTime(), Tap()) for transport in ("udp", "tcp")
        ]
        loop = asyncio.get_running_loop()
        self.index = Index(use_pod_names=True, call_later=lambda call: loop.call_later(0.05, call))
        self.imports = Index(
            namespaces=self.index.namespaces, pods=self.index.pods, call_later=lambda call: loop.call_later(0.05, call)
        )
        for one in (self.index, self.imports):
            one.synced = True
            one.subscribe(shared.forget)
        names = [name.from_text(text) for text in ZONES]
        zones: list[ClusterZone] = [
            ClusterZone(zone, self.index, primary=names[0], ttl_seconds=5, pods=PodMode.VERIFIED) for zone in names
        ]
        imported = name.from_text("clusterset.local.")
        zones.append(ImportZone(imported, self.imports, primary=imported, ttl_seconds=5, pods=PodMode.DISABLED))
        chain = Chain(
            ClusterHandler(zones, 5, Fallthrough(), no_next, unready=str),
            observers=(mark_rotating,), counts_queries=False,
        )  # fmt: skip
        routes = Routes(Route(zone.zone, "", chain) for zone in zones)
        self._dispatch = Dispatch(routes, QueryCounters(Registry(), ""), Series())
        self._reflectors = {kind: self._reflector(KINDS[kind]) for kind in KINDS}

    def _reflector(self, kind: Kind) -> Reflector:
        registry = Registry()
        index = self.imports if kind in (ServiceImport, ImportedSlice) else self.index
        return Reflector(
            Collection(kind.__name__, "", {}), cast(Client, None), ObjectStore(kind, index.steps, registry),
            ApiStatus(), registry, lambda: None, Freshness().track(kind, "", int),
            queue=RetryQueue(Intervals(), Timing()), page_limit=PAGE_LIMIT, intervals=Intervals(), timing=Timing(),
        )  # fmt: skip

    async def event(self, doing: str, kind: str, what: str, *manifests: Manifest) -> None:
        """Send events of a watch, each as a chunk of its own, and measure the turns that they take."""
        for one in manifests:
            metadata = {**one["metadata"], "resourceVersion": str(next(_VERSIONS))}
            line = json.dumps({"type": what, "object": {**one, "metadata": metadata}}).encode()
            await asyncio.sleep(0)
            self._turns.doing = doing
            await Watch(self._reflectors[kind].followed).apply([line])
            await self._end_of_work()
            self._turns.doing = ""

    async def relist(self, doing: str, kind: str, manifests: Sequence[Manifest]) -> None:
        """Read a list again, page by page."""
        reflector = self._reflectors[kind]
        client = cast(Client, _Pages(kind, manifests, PAGE_LIMIT))
        pages = PagedList(replace(reflector.followed, client=client), PAGE_LIMIT)
        gc.freeze()  # neither making the pages nor walking what they were made of is measured
        await asyncio.sleep(0)
        self._turns.doing = doing
        await pages.read()
        await self._end_of_work()
        self._turns.doing = ""

    async def _end_of_work(self) -> None:
        """Wait until forgotten answers are removed."""
        await asyncio.sleep(0)
        for _ in iter(lambda: any(one.answers.has_forgotten for one in self.contexts), False):
            await asyncio.sleep(0)

    async def ask(
        self, doing: str, questions: Iterable[tuple[str, int]] = QUESTIONS, *, times: int = 3, only_tcp: bool = False
    ) -> None:
        """Ask each question a few times; the answer is compiled on the way, and sent from the table at last."""
        for (qname, qtype), context in product(questions, self.contexts[only_tcp:]):
            packet = question(qname, codes.type_text(qtype))
            text = f"{doing}: {qname} {codes.type_text(qtype)}, {context.transport}" if doing else ""
            for _ in range(times):
                await asyncio.sleep(0)
                self._turns.doing = text
                kept = context.answers.entries.get(packet[2:])
                if kept is None:
                    reply = self._dispatch.miss(packet, ("127.0.0.1", 4), "127.0.0.1", context)
                    if isinstance(reply, LargeReply):
                        await reply
                else:
                    kept.message()
                await asyncio.sleep(0)
                self._turns.doing = ""


class _Pages:
    """A client whose only list is in memory, as the bytes of its pages."""

    def __init__(self, kind: str, manifests: Sequence[Manifest], limit: int) -> None:
        starts = range(0, max(1, len(manifests)), limit)
        self._pages = {start: self._page(kind, manifests, start, limit) for start in starts}

    @staticmethod
    def _page(kind: str, manifests: Sequence[Manifest], start: int, limit: int) -> bytearray:
        rest = str(start + limit) if start + limit < len(manifests) else None
        meta = {"resourceVersion": str(next(_VERSIONS)), "continue": rest}
        page = {"kind": f"{kind}List", "metadata": meta, "items": manifests[start : start + limit]}
        return bytearray(json.dumps(page, separators=(",", ":")).encode())

    async def page(self, path: str, params: dict[str, str], *, is_last_of_connection: bool) -> bytearray:
        """Return one page of the list."""
        await asyncio.sleep(0)  # as every request waits
        return self._pages[int(params.get("continue", "0"))]


async def no_next(query: Query) -> Reply:
    """Refuse a query, as where no plugin is left."""
    return failure(codes.REFUSED, "no zone", is_unhandled=True)


def meta(name_text: str, **labels: str) -> Manifest:
    """Make the metadata of an object in the namespace `prod`."""
    return {"name": name_text, "namespace": "prod", "resourceVersion": "1", "labels": labels}


PROD: Manifest = {"metadata": {"name": "prod", "resourceVersion": "1"}}
