"""The API source while a real API server, or the way to it, fails by script: nothing is removed, all is caught up."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from fakes.seen import Seen

from clusterdns.cluster.api.settings import ApiSettings
from clusterdns.cluster.api.source import ApiSource
from clusterdns.cluster.objects import Service
from testing import api_faults
from testing.api import Manifest
from testing.api_faults import ApiFault
from testing.api_proxy import ApiProxy, proxying
from testing.controlplane import ControlPlane
from testing.tcp_relay import relaying
from testing.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.peer("kube-apiserver")]

Start = Callable[..., ApiSource]


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test's own, with a Service."""
    name = f"f-{uuid.uuid4().hex[:8]}"
    control_plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    control_plane.apply(service(name, "before"))
    yield name
    control_plane.delete("Namespace", name)


def service(namespace: str, name: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}


@asynccontextmanager
async def following(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> AsyncIterator[tuple[ApiProxy, ApiSource]]:
    """Follow a namespace through a proxy."""
    async with proxying(control_plane) as proxy:
        source = start(ApiSettings(endpoint=proxy.url, namespaces=(namespace,)))
        await until(lambda: source.synced, "the first lists")
        assert seen.names(Service) == {"before"}
        yield proxy, source


def refusing(status: int, text: str = "", content_type: str = "application/json", **headers: str) -> ApiFault:
    return api_faults.Refusing(status, text, content_type, **headers)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: refusing(401, api_faults.UNAUTHORIZED), id="401"),
        pytest.param(lambda: refusing(500), id="500"),
        pytest.param(lambda: refusing(503, Retry_After="1"), id="503"),
        pytest.param(lambda: refusing(200, api_faults.LOGIN_PAGE, "text/html"), id="login page"),
        pytest.param(lambda: api_faults.RequiringToken(["secret"]), id="another token is required"),
        pytest.param(lambda: api_faults.CuttingLists(list_bytes=40), id="lists are cut"),
        pytest.param(lambda: api_faults.EndingWatches(api_faults.EXPIRED), id="410 again and again"),
        pytest.param(lambda: api_faults.EndingWatches(api_faults.GARBAGE), id="garbage"),
    ],
)
async def test_a_fault_removes_nothing_and_what_happened_in_it_is_known_after_it(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start, make: Callable[[], ApiFault]
) -> None:
    async with following(control_plane, namespace, seen, start) as (proxy, source):
        proxy.fault = make()
        proxy.cut()
        await until(lambda: source.reason, "the fault to be noticed")
        control_plane.apply(service(namespace, "in-the-fault"))
        proxy.fault = ApiFault()
        await seen.until_names(Service, "before", "in-the-fault")
        control_plane.apply(service(namespace, "after"))
        await seen.until_names(Service, "before", "in-the-fault", "after")
        assert all(change.new is not None for change in seen.changes)


async def test_an_event_that_is_cut_in_the_middle_is_applied_once(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    async with following(control_plane, namespace, seen, start) as (proxy, _):
        asked, count = len(proxy.queries), len(seen.changes)
        proxy.fault = api_faults.CuttingWatches()
        control_plane.apply(service(namespace, "cut"))
        await until(lambda: len(proxy.queries) > asked, "the watch to be made again")
        assert seen.names(Service) == {"before"}
        proxy.fault = ApiFault()
        await seen.until_names(Service, "before", "cut")
        assert len(seen.changes) == count + 1


async def test_what_is_held_back_on_open_connections_is_caught_up(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    async with following(control_plane, namespace, seen, start) as (proxy, _):
        proxy.fault = frozen = api_faults.Frozen()
        control_plane.apply(service(namespace, "held"))
        control_plane.delete("Service", "before", namespace)
        proxy.fault = ApiFault()
        frozen.release()
        await seen.until_names(Service, "held")


async def test_the_proxy_loses_one_event_in_so_many_of_one_collection(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    async with following(control_plane, namespace, seen, start) as (proxy, _):
        proxy.fault = losing = api_faults.LosingEvents("services", 2)
        for name in ("a", "b", "c"):
            control_plane.apply(service(namespace, name))
        await seen.until_names(Service, "before", "a", "c")
        assert [json.loads(line)["object"]["metadata"]["name"] for line in losing.lost] == ["b"]


async def test_connections_that_are_refused_for_a_while_are_made_again(
    control_plane: ControlPlane, namespace: str, seen: Seen, start: Start
) -> None:
    async with relaying(control_plane.url) as relay:
        config = json.loads(control_plane.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = relay.url
        kubeconfig = control_plane.folder / f"{namespace}.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        source = start(ApiSettings(kubeconfig=str(kubeconfig), namespaces=(namespace,)))
        await until(lambda: source.synced, "the first lists")
        relay.is_open = False
        relay.cut()
        await until(lambda: source.reason, "the fault to be noticed")
        control_plane.apply(service(namespace, "in-the-fault"))
        relay.is_open = True
        await seen.until_names(Service, "before", "in-the-fault")
        assert all(change.new is not None for change in seen.changes)
        await source.stop()


async def test_the_proxy_passes_whole_events_to_a_client_that_prefers_protobuf(control_plane: ControlPlane) -> None:
    params = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    headers = {"accept": "application/vnd.kubernetes.protobuf,application/json"}
    async with proxying(control_plane) as proxy, aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_SECONDS):
        async with session.get(f"{proxy.url}/api/v1/namespaces", params=params, headers=headers) as response:
            async for line in response.content:
                if b"k8s.io/initial-events-end" in line:
                    break
        assert response.content_type == "application/json"
