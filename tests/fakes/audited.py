"""A model of a collection that is followed and audited in virtual time."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

from fakes.model_api import ModelApi
from fakes.time import VirtualTime

from clusterdns.cluster.api.audit.rounds import AuditRounds
from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.collection import Collection
from clusterdns.cluster.api.follow.reflector import Reflector
from clusterdns.cluster.api.follow.retry import RetryQueue, Timing
from clusterdns.cluster.api.settings import Intervals
from clusterdns.cluster.api.status import ApiStatus
from clusterdns.cluster.api.store import ObjectStore
from clusterdns.cluster.freshness import Freshness
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Namespace, ObjectKey, Service, key_of
from clusterdns.telemetry.metrics import Registry

INTERVAL = 30.0
LONGEST = INTERVAL * 1.1 + 10.0  # an interval, and what reading and settling take


class Audited:
    """A model of a collection, the store and the index that follow it, and its audits.

    Addresses are never older than before.
    """

    def __init__(self, *, streams_lists: bool = True, jitter: float = 1.0, previous: "Audited | None" = None) -> None:
        """A process that follows a new model, or that of a previous process, which has ended."""
        self.api: ModelApi = ModelApi(streams_lists=streams_lists) if previous is None else previous.api
        self.time: VirtualTime = VirtualTime() if previous is None else previous.time
        self.registry = Registry()
        self.index = Index()
        self.index.apply(Change(None, Namespace("prod")))
        self.store = ObjectStore(Service, self._check, self.registry, keeps_versions=True)
        self._numbers: Iterator[int] = itertools.count(1) if previous is None else previous._numbers
        self._newest: dict[ObjectKey, str] = {}
        self._gone_back: list[str] = []
        self.changes: list[Change] = []
        timing = Timing(self.time.sleep, self.time.clock, lambda least, most: least + jitter * (most - least))
        self.freshness = Freshness(clock=self.time.clock).track(Service, "services", self.store.count)
        self.reflector = Reflector(
            Collection("services", "/api/v1/services", {}), cast(Client, self.api), self.store, ApiStatus(),
            self.registry, lambda: None, self.freshness, queue=RetryQueue(Intervals(), timing), page_limit=2,
            intervals=Intervals(), timing=timing,
        )  # fmt: skip
        self._rounds = AuditRounds([self.reflector.followed], INTERVAL, self.registry, timing)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow and audit the model."""
        tasks = [asyncio.create_task(run()) for run in (self.reflector.run, self._rounds.run)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert not self._gone_back

    def change(self, name: str, *, is_lost: bool = False) -> None:
        """Give a Service a newer address."""
        self._make(name, ".".join(map(str, (10, *next(self._numbers).to_bytes(3, "big")))), is_lost=is_lost)

    def delete(self, name: str, *, is_lost: bool = False) -> None:
        """Delete a Service, if it exists."""
        self._make(name, "", is_lost=is_lost)

    def _make(self, name: str, address: str, *, is_lost: bool) -> None:
        before = self.api.version
        if is_lost:
            self.api.lost.add(before + 2)
        self.api.change(name, address)
        if self.api.version == before:
            self.api.lost.discard(before + 2)

    def addresses(self) -> dict[str, str]:
        """Return the addresses that are known."""
        return {one.name: one.cluster_ips[0] for one in self.store.objects.values() if isinstance(one, Service)}

    @property
    def truth(self) -> dict[str, str]:
        """The addresses of the model."""
        return self.api.state(self.api.version)

    def counts(self, name: str, *labels: str) -> float:
        """Return the value of a counter."""
        return sum(
            series.value
            for family in self.registry.counters_by("kind")
            if family.name == name
            for values, series in family.series.items()
            if values[1:] == labels
        )

    @property
    def differences(self) -> float:
        """The number of differences that audits have counted."""
        return self.counts("clusterdns_audit_differences_total")

    def _check(self, change: Change) -> Iterator[None]:
        self.changes.append(change)
        if isinstance(change.new, Service):
            key, address = key_of(change.new), change.new.cluster_ips[0]
            number = ".".join(f"{int(part):03}" for part in address.split("."))
            if number <= self._newest.get(key, ""):
                self._gone_back.append(address)
            self._newest[key] = number
        return self.index.steps(change)


def delays(values: list[float], time: VirtualTime) -> Callable[[], Any]:
    """Make delays of these lengths, over and over."""
    upcoming = itertools.cycle(values)
    return lambda: time.sleep(next(upcoming))
