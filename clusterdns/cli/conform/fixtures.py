"""The suite's own objects, which are package data, and manifests of the user; read, and written as YAML or a zone file.

The zone file has the names that the objects make, for name servers that know no Kubernetes: `named`, NSD or Knot serve
it, and are asked `--part rfc`, or the specification's rows too.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from clusterdns.cli.conform.served import CLUSTER_IP, EXTERNAL_NAME, Manifest, ServedObjects, ServedService

PATH = Path(__file__).with_name("fixtures.yaml")
ZONE = "cluster.local"  # of the targets of ExternalNames
NAMESPACE = "dns-conform"  # the others' names begin with it
KINDS = frozenset({"Namespace", "Service", "EndpointSlice", "Endpoints", "ServiceImport"})
SUFFIXES = (".yaml", ".yml", ".json")
MAX_BYTES = 64 << 20
TTL_SECONDS = 30
_NAMESPACE = re.compile(rf"\b{NAMESPACE}\b")


class FixtureError(Exception):
    """Manifests that cannot be read; the text says why and where."""


def text(zone: str = ZONE, namespace: str = NAMESPACE) -> str:
    """Return the suite's objects as YAML, with ExternalNames in the zone, for a namespace."""
    content = PATH.read_text(encoding="utf-8").replace(f".svc.{ZONE}", f".svc.{zone}")
    return _NAMESPACE.sub(namespace, content)


def own(zone: str = ZONE) -> list[Manifest]:
    """Read the suite's objects."""
    return read(text(zone))


def read(content: str) -> list[Manifest]:
    """Read the objects of the suite's own YAML."""
    return list(_documents(content, PATH.name))


def of_paths(paths: Iterable[str]) -> list[Manifest]:
    """Read the objects of manifests in files and folders. Raises FixtureError."""
    found: list[Manifest] = []
    for one in map(Path, paths):
        files = sorted(path for path in one.rglob("*") if path.suffix in SUFFIXES) if one.is_dir() else [one]
        for path in files:
            try:
                if path.stat().st_size > MAX_BYTES:
                    raise FixtureError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
                content = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8"
                raise FixtureError(f"{path}: {reason.lower()}") from error
            found += _documents(content, str(path))
    if not any(one["kind"] == "Service" for one in found):
        raise FixtureError(f"{', '.join(paths)}: no Services")
    return found


def _documents(content: str, where: str) -> Iterator[Manifest]:
    """Yield the objects of the suite's kinds, those of lists too. Raises FixtureError."""
    import yaml  # slow to import

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = list(yaml.load_all(content, Loader=loader))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FixtureError(f"{where}: not YAML: {' '.join(str(error).split())[:200]}") from error
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        for one in items if isinstance(items, list) else [document]:
            if isinstance(one, dict) and one.get("kind") in KINDS:
                _require(one, where)
                yield one


def _require(one: dict[str, Any], where: str) -> None:
    """Raise FixtureError where an object lacks what the suite reads of it."""
    metadata = one.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str):
        raise FixtureError(f"{where}: a {one['kind']} without metadata.name")
    spec = one.get("spec")
    lists = [(one, "endpoints")] if one["kind"] == "EndpointSlice" else [(spec, "ports")] if spec is not None else []
    for holder, key in lists:
        if not isinstance(holder, dict) or not isinstance(holder.get(key) or [], list):
            raise FixtureError(f"{where}: {one['kind']} {name}: '{key}' is not a list")
        if not all(
            isinstance(item, dict) and (item.get("addresses") or item.get("port")) for item in holder.get(key) or []
        ):
            raise FixtureError(f"{where}: {one['kind']} {name}: an entry of '{key}' is not complete")


def zone_text(objects: ServedObjects) -> str:
    """Write the names of the objects' cluster zone as a zone file."""
    zone = objects.zone.rstrip(".") + "."
    lines = [
        f"$ORIGIN {zone}",
        f"$TTL {TTL_SECONDS}",
        f"@ SOA ns.dns.{zone} hostmaster.{zone} 1 7200 1800 86400 {TTL_SECONDS}",
        f"@ NS ns.dns.{zone}",
        f"ns.dns.{zone} A 127.0.0.1",
        f'dns-version.{zone} TXT "1.1.0"',
    ]
    for service in objects.services:
        lines += _records(objects, service)
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def _records(objects: ServedObjects, service: ServedService) -> Iterator[str]:
    """Yield the lines of a Service."""
    name = objects.name_of(service)
    if service.kind == EXTERNAL_NAME:
        yield f"{name} CNAME {service.external_name.rstrip('.')}."
        return
    ready = [one for one in service.endpoints if one.is_ready]
    ips = service.ips if service.kind == CLUSTER_IP else tuple(one.address for one in ready)
    yield from (f"{name} {_type(ip)} {ip}" for ip in ips)
    hosts = {} if service.kind == CLUSTER_IP else {one.address: one.hostname or _label(one.address) for one in ready}
    yield from (f"{objects.name_of(service, host)} {_type(ip)} {ip}" for ip, host in hosts.items())
    targets = [name] if service.kind == CLUSTER_IP else [objects.name_of(service, host) for host in hosts.values()]
    for port in service.named_ports:
        owner = objects.name_of(service, f"_{port.name}", f"_{port.protocol}")
        yield from (f"{owner} SRV 0 100 {port.number} {target}" for target in targets)


def _type(ip: str) -> str:
    return "AAAA" if ":" in ip else "A"


def _label(ip: str) -> str:
    return ip.replace(".", "-").replace(":", "-")
