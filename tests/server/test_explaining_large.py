"""Explanations of large Services: read in pages, looked at in steps, and bounded in what they show."""

import asyncio
import json
from typing import Any

import msgspec
import pytest

from clusterdns.cluster.api.client import Client
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.details.from_api import ApiReader
from clusterdns.cluster.details.reader import (
    MAX_OBJECTS,
    MAX_PAGE,
    PODS,
    SERVICES,
    SLICES,
    FoundObjects,
    ObjectFilter,
)
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Service
from clusterdns.server.explaining.endpoints import ENDPOINTS_PER_STEP, add_endpoints
from clusterdns.server.explaining.explanation import MAX_LISTED, ExplainedService
from clusterdns.server.explaining.near import CANDIDATES_PER_STEP, nearest_label
from clusterdns.telemetry.metrics import Registry

COUNT = 1_000  # endpoints of a slice, the most that it can have
BIG = ObjectFilter("prod", labels={"kubernetes.io/service-name": "big"})


class PagedClient(Client):
    """A client of an API server that has so many objects, and gives up after some pages."""

    def __init__(self, count: int, pages: int = 1_000) -> None:
        super().__init__(ApiSettings(), Registry())
        self.count, self.pages = count, pages
        self.limits: list[int] = []

    async def page(self, path: str, params: Any, **_: Any) -> bytearray:
        """Return a page."""
        if len(self.limits) == self.pages:
            raise ApiError("410 Gone: the resourceVersion is too old", 410)
        self.limits.append(int(params["limit"]))
        first = int(params.get("continue", 0))
        last = min(self.count, first + self.limits[-1])
        items = [{"metadata": {"name": f"big-{number}"}} for number in range(first, last)]
        rest = {"continue": str(last)} if last < self.count else {}
        return bytearray(json.dumps({"kind": "TheList", "metadata": rest, "items": items}).encode())


@pytest.mark.parametrize("resource", [SERVICES, SLICES, PODS])
@pytest.mark.parametrize("count", [0, 1, 5, 6, 20, 21, 1_000])
async def test_objects_are_read_in_pages_up_to_a_bound(resource: str, count: int) -> None:
    client = PagedClient(count)
    found = await ApiReader(client).read(resource, BIG)
    assert len(found.trees) == min(count, MAX_OBJECTS[resource])
    assert found.is_cut is (count > MAX_OBJECTS[resource])
    assert max(client.limits) <= MAX_PAGE[resource]
    assert len(client.limits) == max(1, -(-len(found.trees) // MAX_PAGE[resource]))


async def test_a_page_that_fails_is_the_problem() -> None:
    found = await ApiReader(PagedClient(20, pages=2)).read(SLICES, BIG)
    assert found == FoundObjects(problem="410 Gone: the resourceVersion is too old")


def endpoint(number: int) -> dict[str, Any]:
    return {
        "addresses": [f"10.1.{number // 250}.{number % 250}"],
        "conditions": {"ready": number % 2 == 0},
        "targetRef": {"kind": "Pod", "name": f"big-{number}"},
    }


SLICE: dict[str, Any] = {
    "metadata": {"name": "big-x", "namespace": "prod", "labels": BIG.labels},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 80}],
    "endpoints": [*map(endpoint, range(COUNT - 1)), {"addresses": ["10.1.0.021"]}],
}


class LargeReader:
    """A reader of one large slice, as JSON or as a tree."""

    text = "the API server"

    def __init__(self, tree: Any) -> None:
        self._tree = tree

    async def read(self, resource: str, wanted: ObjectFilter) -> FoundObjects:
        """Return the slice."""
        return FoundObjects((self._tree,) if resource == SLICES else ())


@pytest.mark.parametrize("tree", [SLICE, msgspec.Raw(json.dumps(SLICE).encode())], ids=["tree", "JSON"])
async def test_a_large_slice_is_looked_at_in_steps(tree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    async def take(_: Any, steps: Any) -> None:
        nonlocal taken
        taken += sum(1 for _ in steps)

    monkeypatch.setattr("clusterdns.server.explaining.endpoints.LoopTurns.take", take)
    index = Index()
    index.apply(Change(None, Service("prod", "big", headless=True)))
    found = ExplainedService("prod", "big", exists=True, namespace_exists=True)
    await add_endpoints(found, index, index.service(b"prod", b"big"), LargeReader(tree))
    assert taken >= COUNT // ENDPOINTS_PER_STEP
    assert (found.endpoint_count, found.slice_count, len(found.endpoints)) == (COUNT, 1, MAX_LISTED)
    assert found.slices[0].endpoint_count == COUNT
    assert [(one.addresses[0], one.reason) for one in found.endpoints[:2]] == [
        ("10.1.0.0", "this server has not heard of it yet"), ("10.1.0.1", "big-1 is not ready"),
    ]  # fmt: skip
    assert found.problems == ['EndpointSlice prod/big-x: address "10.1.0.021" is not an IP address']


async def test_names_may_come_and_go_while_the_nearest_is_looked_for() -> None:
    known = {f"service-{number}".encode(): None for number in range(3 * CANDIDATES_PER_STEP)} | {b"web": None}

    async def change() -> None:
        known[b"new"] = None
        del known[b"service-0"]

    changing = asyncio.ensure_future(change())
    assert await nearest_label(b"wbe", known) == "web"
    await changing
    assert await nearest_label(b"nothing-like-these", known) == ""


@pytest.mark.parametrize(
    ("label", "near"),
    [
        (b"prodd", "prod"), (b"webb", "web"), (b"kube-sys", "kube-system"), (b"porduction", "production"),
        (b"kubesystme", "kube-system"), (b"kbsystem", ""), (b"x", ""),
    ],
)  # fmt: skip
async def test_the_nearest_of_very_many_names_is_found(label: bytes, near: str) -> None:
    several = [f"ns-{number}".encode() for number in range(20_000)]
    assert await nearest_label(label, [*several, b"prod", b"web", b"kube-system", b"production"]) == near


async def test_the_nearest_of_many_that_are_near_is_one_of_them() -> None:
    several = [f"service-{number}".encode() for number in range(3_000)]
    assert await nearest_label(b"servicee-77", several) == "service-77"
