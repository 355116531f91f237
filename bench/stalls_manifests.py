"""The part of `stalls` over manifests: a file of 10,000 Services and 10,000 endpoints is read, changed and emptied.

The file is read in a thread; the turns are those that apply the changes.
"""

import asyncio
import json
import os
import tempfile
from pathlib import Path

from bench.turns import Turns
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.manifests.source import ManifestSource
from clusterdns.telemetry.metrics import Registry
from testing.api import Manifest

PER_SLICE = 1_000


async def measure_manifests(turns: Turns, count: int) -> None:
    """Measure so many Services, and as many endpoints of one Service in slices."""
    index = Index()
    with tempfile.TemporaryDirectory() as folder:
        source = ManifestSource([folder], index.steps, lambda: None, Registry())
        await source.load_in_thread()
        for doing, port in (("read", 80), ("all changed", 81), ("all gone", 0)):
            objects = [*_services(count, port), *_slices(count, port)] if port else []
            file = Path(folder) / "objects.json"
            file.write_text(json.dumps({"kind": "List", "items": objects}))
            os.utime(file, (1000 + port, 1000 + port))
            await asyncio.sleep(0)  # making the file is no part of the turn that is measured
            turns.doing = f"manifests {doing}"
            await source.poll()
            await asyncio.sleep(0)
            turns.doing = ""


def _services(count: int, port: int) -> list[Manifest]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "prod"},
            "spec": {"ports": [{"name": "http", "port": port}]},
        }
        for name in ("db", *(f"web-{number}" for number in range(count)))
    ]


def _slices(count: int, port: int) -> list[Manifest]:
    return [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"db-{start}",
                "namespace": "prod",
                "labels": {"kubernetes.io/service-name": "db"},
            },
            "addressType": "IPv4",
            "ports": [{"name": "pg", "port": port, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [f"10.0.{number // 250}.{number % 250}"], "hostname": f"db-{number}"}
                for number in range(start, start + PER_SLICE)
            ],
        }
        for start in range(0, count, PER_SLICE)
    ]
