"""The servers that the suite of `clusterdns conform` is run against, and the cases that each is known to fail.

    with conformance.live(COREDNS, control_plane, folder) as address:
        ...                                                   # clusterdns conform ADDRESS --kubeconfig …
    with conformance.knot(folder) as address:
        ...                                                   # clusterdns conform ADDRESS --part rfc

Tests pin the failures, and `bench.conformance` writes them into docs/conformance.md. The suite is run as the console
script, as anyone runs it.
"""

import contextlib
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from testing import dns_client, peers
from testing.controlplane import ControlPlane
from testing.knot import configure
from testing.ports import free_ports
from testing.process import ServerProcess

OURS, COREDNS, KNOT = "clusterdns", "coredns", "knot"
ADDRESS = "127.0.0.1"
RUN_SECONDS = 300
ZONES = "cluster.local clusterset.local in-addr.arpa ip6.arpa"
COREFILE = f""".:{{port}} {{{{
    bind {ADDRESS}
    errors
    kubernetes {ZONES} {{{{
        kubeconfig {{kubeconfig}}
        pods insecure
        multicluster clusterset.local
    }}}}
}}}}
"""


@dataclass(frozen=True)
class KnownFailure:
    """Cases that a server fails, by a pattern of their IDs, and why."""

    pattern: str
    reason: str


KNOWN: dict[str, tuple[KnownFailure, ...]] = {
    OURS: (),
    COREDNS: (
        KnownFailure("mcs-2.?.3-ptr-*", "no PTR records for clusterset IPs and imported endpoints"),
        KnownFailure("rfc-2308-2.2-version-*", "dns-version exists for TXT only: NXDOMAIN for other types"),
        KnownFailure("rfc-2308-2.1-service-soa", "SOA of an absent name is NODATA"),
        KnownFailure("rfc-8020-2-*-txt", "TXT of the zone, of svc and of namespaces is NXDOMAIN"),
        KnownFailure("rfc-8020-2-*tcp-*", "names between a Service and its ports (_tcp) are NXDOMAIN"),
        KnownFailure("rfc-8482-4-any", "ANY of a Service is NODATA"),
        KnownFailure("rfc-1034-3.6.2-cname-*", "an ExternalName has its CNAME for A, AAAA and CNAME only"),
        KnownFailure("rfc-1034-4.2.1-ns*", "with 'bind' the zone has no NS record"),
        KnownFailure("rfc-9471-2.1-ns-glue", "with 'bind' the zone has no NS record"),
        KnownFailure("rfc-1035-4.1.4-compressed", "owner names are not compressed where the message fits without"),
        KnownFailure("rfc-1996-3.12-opcode-notify", "NOTIFY is answered like a query"),
        KnownFailure("rfc-1035-4.1.1-malformed-*", "a question without a type is REFUSED, none is SERVFAIL"),
        KnownFailure("rfc-6891-6.1.4-flags-clear", "reserved EDNS flags come back"),
        KnownFailure("rfc-6891-6.1.1-broken-two", "a query with two OPT records is answered"),
        KnownFailure("rfc-6891-6.1.2-broken-owner", "an OPT whose owner is not the root is accepted"),
    ),
    KNOT: (
        KnownFailure("rfc-9619-4-*-questions", "a query with several questions is dropped"),
        KnownFailure("rfc-1035-4.1.1-malformed-*", "a query that cannot be read is dropped"),
        KnownFailure("rfc-6891-6.1.2-broken-owner", "an OPT whose owner is not the root is accepted"),
    ),
}


@contextlib.contextmanager
def live(name: str, control_plane: ControlPlane, folder: Path) -> Iterator[str]:
    """Run clusterdns or CoreDNS on the control plane, until it answers; yields `address:port`."""
    (port,) = free_ports(1)
    path = folder / f"Corefile.{name}"
    path.write_text(COREFILE.format(port=port, kubeconfig=control_plane.kubeconfig))
    program = peers.clusterdns() if name == OURS else peers.find(name)
    with ServerProcess(name, [program, "-conf", path], folder / f"{name}.log") as server:
        server.wait_until(lambda: _answers(port, "kubernetes.default.svc.cluster.local"), "an answer")
        yield f"{ADDRESS}:{port}"


@contextlib.contextmanager
def knot(folder: Path) -> Iterator[str]:
    """Run Knot on the suite's zone file; yields `address:port`."""
    (port,) = free_ports(1)
    printed = subprocess.run(
        [peers.clusterdns(), "conform", "--print-zone"], capture_output=True, check=True, text=True
    )
    conf = configure(folder, ADDRESS, port, "cluster.local", printed.stdout)
    with ServerProcess(KNOT, [peers.find("knotd"), "-c", conf], folder / "knot.log") as server:
        server.wait_until(lambda: _answers(port, "web.dns-conform.svc.cluster.local"), "an answer")
        yield f"{ADDRESS}:{port}"


def _answers(port: int, name_text: str) -> bool:
    return dns_client.has_records(port, dns_client.question(name_text))


def run(address: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Run the suite against a server, and return its JSON. Raises RuntimeError where nothing could be asked."""
    command = [str(peers.clusterdns()), "conform", address, "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["ok"] == (done.returncode == 0)
    return found


def failures(report: dict[str, Any]) -> dict[str, str]:
    """Return the IDs of failed cases, each with what was seen."""
    return {one["id"]: one["reason"] for one in report["cases"] if one["verdict"] in ("fail", "no answer")}


def known(name: str, case_id: str) -> KnownFailure | None:
    """Return the known failure of a server that a case belongs to."""
    return next((one for one in KNOWN[name] if fnmatchcase(case_id, one.pattern)), None)
