"""What audits cost: CPU of this server, requests, bytes, and memory per object, with 10,000 Services and their slices.

    python -m bench.audit [SERVICES]

A process of its own plays the API server over TLS: objects with the metadata that controllers write. Each Service has
one slice of ten endpoints. CPU is that of the process which audits, as a share of a core at the default interval.
"""

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from aiohttp import web

from clusterdns.cluster.api.audit.comparison import Comparison
from clusterdns.cluster.api.settings import DEFAULT_AUDIT_SECONDS, ApiSettings, ClientTls
from clusterdns.cluster.api.source import ApiSource
from clusterdns.telemetry.metrics import Registry
from testing import certificates
from testing.api import Manifest
from testing.ports import LOOPBACK

ROUNDS = 5
ENDPOINTS_PER_SLICE = 10
_SERVICES, _SLICES, _NAMESPACES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/namespaces"
_UID = "6f8f423f-59b7-4772-a3d0-%012x"


def metadata(number: int, name: str, fields: int) -> Manifest:
    """Make the metadata of an object, as large as with `managedFields` of one controller."""
    managed: Manifest = {f"f:field-{one}": {".": {}, "f:value": {}} for one in range(fields)}
    return {
        "name": name, "namespace": f"team-{number % 100}", "uid": _UID % number, "resourceVersion": str(1000 + number),
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app.kubernetes.io/name": name, "team": "a"},
        "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": managed}],
    }  # fmt: skip


def objects(services: int) -> dict[str, list[Manifest]]:
    """Make the objects, by path."""
    found: dict[str, list[Manifest]] = {_SERVICES: [], _SLICES: [], _NAMESPACES: []}
    for number in range(services):
        name = f"service-{number:06}"
        ip = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        spec = {"clusterIP": ip, "clusterIPs": [ip], "ports": [{"name": "http", "port": 80}]}
        found[_SERVICES].append({"metadata": metadata(number, name, 12), "spec": spec})
        meta = metadata(services + number, f"{name}-abcde", 18)
        meta["labels"]["kubernetes.io/service-name"] = name
        subnet = f"11.{number >> 8 & 255}.{number & 255}"
        endpoints = [{"addresses": [f"{subnet}.{one}"]} for one in range(ENDPOINTS_PER_SLICE)]
        found[_SLICES].append({"metadata": meta, "addressType": "IPv4", "endpoints": endpoints})
    for number in range(100):
        meta = metadata(2 * services + number, f"team-{number}", 4)
        found[_NAMESPACES].append({"metadata": meta | {"namespace": None}})
    return found


def serve(services: int, certificate: certificates.Certificate, parent: Connection) -> None:
    """Serve the objects until the process is ended; sends the port."""
    full = objects(services)
    partial = {path: [{"metadata": one["metadata"]} for one in items] for path, items in full.items()}

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        query = request.query
        if "sendInitialEvents" in query:
            return web.json_response({"kind": "Status", "code": 422}, status=422)
        if "watch" in query:
            response = web.StreamResponse()
            await response.prepare(request)
            await asyncio.Event().wait()
        items = (partial if "PartialObjectMetadata" in request.headers["accept"] else full)[request.path]
        start, limit = int(query.get("continue", 0)), int(query["limit"])
        rest = str(start + limit) if start + limit < len(items) else ""
        meta = {"resourceVersion": "1000000", "continue": rest}
        page = {"kind": "List", "metadata": meta, "items": items[start : start + limit]}
        return web.Response(body=json.dumps(page, separators=(",", ":")).encode(), content_type="application/json")

    async def run() -> None:
        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, 0, ssl_context=certificate.server_context()).start()
        parent.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


async def measure(url: str, tls: ClientTls) -> Iterator[str]:
    """Follow the server, audit it several times, and return the lines of the report."""
    registry = Registry()
    settings = ApiSettings(endpoint=url, tls=tls, audit_seconds=1e9, startup_timeout_seconds=300.0)
    source = ApiSource(settings, lambda _: None, lambda: None, registry)
    source.start()
    try:
        if not await source.wait_synced():
            raise RuntimeError(source.reason)
        await asyncio.sleep(1.0)  # the watches are open
        read_bytes, page = 0, source.client.page

        async def counting(*arguments: object, **others: object) -> bytearray:
            nonlocal read_bytes
            body = await page(*arguments, **others)  # type: ignore[arg-type]
            read_bytes += len(body)
            return body

        source.client.page = counting  # type: ignore[method-assign]
        requests, cpu = 0, time.process_time()
        for _ in range(ROUNDS):
            for followed in source.followed:
                comparison = Comparison(followed, 0.0)
                if await comparison.run():
                    raise RuntimeError("an audit has found differences")
                requests += comparison.requests
        cpu_seconds = (time.process_time() - cpu) / ROUNDS
        stores = [followed.store for followed in source.followed]
        known = [store.versions.known for store in stores]
        sizes = sum(sys.getsizeof(one) + sum(map(sys.getsizeof, one.values())) for one in known)
        return iter([
            f"objects: {sum(map(len, known))}",
            f"requests per audit: {requests / ROUNDS:.0f}",
            f"MB per audit: {read_bytes / ROUNDS / 1e6:.1f}",
            f"ms of CPU per audit: {cpu_seconds * 1000:.0f}",
            f"of a core every {DEFAULT_AUDIT_SECONDS:.0f} s: {cpu_seconds / DEFAULT_AUDIT_SECONDS:.3%}",
            f"versions: {sizes / sum(map(len, known)):.0f} bytes per object",
        ])  # fmt: skip
    finally:
        await source.stop()


def main(services: int) -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates.make_authority(folder)
        server = certificates.sign(folder, "server", "/CN=server", f"IP:{LOOPBACK}")
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(services, server, theirs), daemon=True
        )
        process.start()
        try:
            url = f"https://{LOOPBACK}:{ours.recv()}"
            tls = ClientTls(str(server.cert), str(server.key), str(folder / "ca.crt"))
            print(*asyncio.run(measure(url, tls)), sep="\n")
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
