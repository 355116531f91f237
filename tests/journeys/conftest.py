"""A server for each of the two clusters, shared by all journeys of a worker."""

import contextlib
from collections.abc import Iterator

import pytest
from journeys.clusters import ApiCluster, Cluster, ManifestCluster
from journeys.journey import Bridge, Journey, served
from journeys.pod import network_namespace
from peers import need, skip_or_fail

from testing.controlplane import binaries
from testing.peers import MissingPeer


@pytest.fixture(scope="session", params=["api", "manifests"])
def journey(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """Run the server on zones/demo, once with a real API server and once with manifests."""
    for tool in ("dig", "nslookup", "busybox"):
        need(tool)
    folder = tmp_path_factory.mktemp(f"journey-{request.param}")
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(network_namespace(request.param))
        cluster: Cluster
        bridge = None
        if request.param == "api":
            control_plane = request.getfixturevalue("control_plane")
            try:
                binaries.find_controller_manager()
            except MissingPeer as error:
                skip_or_fail(error)
            cluster = ApiCluster(control_plane)
            bridge = Bridge(pod, folder, control_plane.url.removeprefix("https://"))
            stack.callback(bridge.down)
            bridge.up()
        else:
            cluster = ManifestCluster(folder)
        journey = Journey(cluster, pod, folder / "server.log", bridge)
        stack.enter_context(served(journey))
        yield journey
