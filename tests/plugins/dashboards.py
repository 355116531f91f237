"""A configuration with `dashboard` that runs inside the test, its page served over HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp
from fakes.pictures import PicturedLive
from plugins.serving import running

from clusterdns.admin.http import AdminHttp
from clusterdns.server.instance import Instance

ADDRESS = "127.0.0.1:0"
CLUSTER = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.20, ports: [{name: http, port: 80}]}
"""


class Response(NamedTuple):
    """A response that is read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str


class Dashboard:
    """The page of a running configuration, whose live picture is the test's."""

    def __init__(self, instance: Instance, port: int, session: aiohttp.ClientSession) -> None:
        self.live = PicturedLive()
        instance.configuration.shared.live = self.live
        self.instance = instance
        self.port = port
        self.session = session

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def get(self, path: str, method: str = "GET", data: str | None = None, **headers: str) -> Response:
        """Send a request; a header's name is written with `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method, self.url(path), headers=sent, data=data, allow_redirects=False
        ) as response:
            return Response(response.status, response.headers, await response.text())


@asynccontextmanager
async def dashboard(folder: Path, options: str = "") -> AsyncIterator[Dashboard]:
    """Run a server block with the directive and a cluster of one Service, prod/web."""
    (folder / "cluster.yaml").write_text(CLUSTER)
    corefile = f"kubernetes cluster.local {{\n manifests {folder}/cluster.yaml\n }}\n dashboard {ADDRESS} {options}"
    admin = AdminHttp()
    async with running(corefile, folder) as served, aiohttp.ClientSession() as session:
        await admin.apply(served.instance.configuration.shared.admin_routes)
        try:
            yield Dashboard(served.instance, admin.port(ADDRESS), session)
        finally:
            await admin.close()
