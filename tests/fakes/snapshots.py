"""Snapshots for tests: made of objects, as one value of bytes."""

import hashlib
from collections.abc import Iterable, Sequence

from clusterdns.cluster.objects import (
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Kind,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    ServiceImport,
)
from clusterdns.cluster.snapshot.contents import CollectionState, SavedCollection, SnapshotHeader
from clusterdns.cluster.snapshot.format import DIGEST_BYTES, encode, layout

KEY = "0123456789abcdef"
UID = "5c3a2f3e-0000-4000-8000-000000000001"
PORTS = (Port("http", 80, "TCP"), Port("", -1, "UDP"))
SAMPLES: dict[Kind, tuple[Object, ...]] = {
    Service: (
        Service("prod", "web", cluster_ips=("10.0.0.1", "fd00::1"), ports=PORTS, external=("192.0.2.1", "lb.example")),
        Service("prod", "db", headless=True),
        Service("prod", "other", type="ExternalName", external_name="www.example.org"),
    ),
    EndpointSlice: (
        EndpointSlice(
            "prod", "db-1", "db", PORTS,
            (Endpoint(("10.1.0.1",), "db-0", "db-0", "zone-a"), Endpoint(("10.1.0.2", "10.1.0.3"), zone="zone-b")),
            ("10.1.0.9",), "IPv4", "2026-01-01T00:00:00Z",
        ),
        EndpointSlice("prod", "db-2", "db", (), (), (), "IPv6"),
    ),
    Namespace: (Namespace("prod"), Namespace("kube-system")),
    Pod: (Pod("prod", "db-0", ("10.1.0.1",), labels="app=db,tier="), Pod("prod", "gone", (), terminating=True)),
    ServiceImport: (ServiceImport("prod", "far", cluster_ips=("10.9.0.1",), ports=PORTS),),
    ImportedSlice: (ImportedSlice("prod", "far-1", "far", PORTS, (Endpoint(("10.2.0.1",)),), cluster="west"),),
}  # fmt: skip


def states(objects: Iterable[Object]) -> list[CollectionState]:
    """One collection per kind, its label the kind's name; empty ones, too."""
    groups: dict[Kind, list[Object]] = {kind: [] for kind in SAMPLES}
    for one in objects:
        groups[type(one)].append(one)
    return [CollectionState(kind.__name__, kind, tuple(several)) for kind, several in groups.items()]


def header(
    several: Sequence[CollectionState], *, key: str = KEY, cluster: str = UID, saved_at: float = 1e9,
    fields: str = "",
) -> SnapshotHeader:  # fmt: skip
    collections = [SavedCollection(one.label, one.kind.__name__, len(one.objects)) for one in several]
    return SnapshotHeader("0.0", fields or layout(), key, cluster, saved_at, tuple(collections))


def with_checksum(content: bytes) -> bytes:
    return content + hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def snapshot(objects: Iterable[Object], **fields: object) -> bytes:
    several = states(objects)
    return with_checksum(b"".join(encode(header(several, **fields), several)))  # type: ignore[arg-type]


def samples() -> list[Object]:
    return [one for several in SAMPLES.values() for one in several]
