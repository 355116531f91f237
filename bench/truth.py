"""What was true when: the names of a namespace as the benchmark's own watches have seen them, and answers judged by it.

A server may receive an event before this process does, so answers are judged later, when the history is complete.
Names are those of headless Services and of their endpoints, and of Services with a clusterIP.
"""

import math
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import NamedTuple

from bench.objects import ZONE
from testing.api import ApiClient, Manifest

AHEAD_SECONDS = 0.5  # by which a server may be ahead of the benchmark's own watch
UNKNOWN_SECONDS = 1.0  # after its creation, in which NXDOMAIN for a name is late, and not wrong

_RECENT = 8  # names: the changes of the last 50 ms of the churn

Address = bytes


@dataclass
class Span:
    """A time in which something was true."""

    begin: float
    end: float = math.inf


class Answer(NamedTuple):
    """What a server answered: when it was asked, when the reply came, and the addresses; without one it is negative."""

    name: str
    asked: float
    replied: float
    code: int
    addresses: frozenset[Address]


class Verdict(NamedTuple):
    """How right an answer is."""

    wrong: str = ""  # why; empty: it is right, or late
    late_since: float = math.inf  # when what it shows ceased to be true; infinity: it is right


@dataclass
class _Name:
    spans: dict[Address, list[Span]] = field(default_factory=dict)

    def set(self, addresses: set[Address], now: float) -> None:
        for address, spans in self.spans.items():
            if spans[-1].end == math.inf and address not in addresses:
                spans[-1].end = now
        for address in addresses:
            spans = self.spans.setdefault(address, [])
            if not spans or spans[-1].end != math.inf:
                spans.append(Span(now))

    def exists_since(self, until: float) -> float:
        """Return since when the name has had an address without a gap, up to a time; infinity where it has none."""
        every = [span for spans in self.spans.values() for span in spans if span.begin <= until]
        since = min((span.begin for span in every if span.end >= until), default=math.inf)
        while earlier := [span.begin for span in every if span.begin < since <= span.end]:
            since = min(earlier)
        return since


class Truth:
    """The history of the names of a namespace, from its creation on."""

    def __init__(self, namespace: str) -> None:
        self.count = 0  # of the changes that were seen
        self._namespace = namespace
        self._recent: deque[str] = deque(maxlen=_RECENT)
        self._names: dict[str, _Name] = defaultdict(_Name)
        self._slices: dict[str, dict[str, Manifest]] = defaultdict(dict)  # by Service and name
        self._services: dict[str, Manifest] = {}
        self._lock = threading.Lock()

    def follow(self, api: ApiClient) -> None:
        """Watch the namespace from now on, in threads; create the objects afterwards."""
        for kind in ("Service", "EndpointSlice"):
            threading.Thread(target=self._follow, args=(api, kind), daemon=True).start()

    def note(self, what: str, changed: Manifest, now: float) -> None:
        """Apply an event that came at a time."""
        with self._lock:
            (self._note_service if changed["kind"] == "Service" else self._note_slice)(what, changed, now)

    def recent_name(self) -> str:
        """Choose one of the names that changed last."""
        return random.choice(self._recent)

    def judge(self, answer: Answer) -> Verdict:
        """Compare an answer with what was true while it was asked for."""
        with self._lock:
            known = self._names[answer.name]
            late = min(self._late_since(known, answer), default=math.inf)
            for address in answer.addresses - known.spans.keys():
                return Verdict(f"{IPv4Address(address)} was never true")
            negative_seconds = answer.asked - known.exists_since(answer.replied + AHEAD_SECONDS)
            if not answer.addresses and negative_seconds > UNKNOWN_SECONDS:
                return Verdict("negative, and the name exists", late)
            return Verdict("", late)

    def _late_since(self, known: _Name, answer: Answer) -> Iterator[float]:
        for address, spans in known.spans.items():
            if address in answer.addresses:
                if not any(span.begin <= answer.replied + AHEAD_SECONDS and span.end >= answer.asked for span in spans):
                    yield max((span.end for span in spans if span.end < answer.asked), default=answer.asked)
            else:
                until = answer.replied + AHEAD_SECONDS
                yield from (span.begin for span in spans if span.begin < answer.asked and span.end > until)

    def _follow(self, api: ApiClient, kind: str) -> None:
        for what, changed in api.watch(kind, self._namespace):
            self.note(what, changed, time.monotonic())

    def _note_service(self, what: str, changed: Manifest, now: float) -> None:
        name = changed["metadata"]["name"]
        if what == "DELETED":
            del self._services[name]
        else:
            self._services[name] = changed
        self._set(name, now)

    def _note_slice(self, what: str, changed: Manifest, now: float) -> None:
        name, service = changed["metadata"]["name"], changed["metadata"]["labels"]["kubernetes.io/service-name"]
        if what == "DELETED":
            self._slices[service].pop(name, None)
        else:
            self._slices[service][name] = changed
        self._set(service, now)

    def _set(self, service: str, now: float) -> None:
        """Derive the addresses of a Service's name."""
        addresses: set[Address] = set()
        if known := self._services.get(service):
            cluster_ip = known["spec"]["clusterIP"]
            if cluster_ip != "None":
                addresses.add(IPv4Address(cluster_ip).packed)
            else:
                for one in self._slices[service].values():
                    for endpoint in one.get("endpoints") or ():
                        addresses.update(IPv4Address(address).packed for address in endpoint["addresses"])
        name = f"{service}.{self._namespace}.svc.{ZONE}."
        self._names[name].set(addresses, now)
        self._recent.append(name)
        self.count += 1
