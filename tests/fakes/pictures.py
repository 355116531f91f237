"""A live picture that tests write: the document's keys are those of docs/dashboard.md, the values are made up."""

from collections.abc import Mapping
from typing import Any

AT = "2026-11-30T09:58:02Z"
KINDS = [
    {"kind": kind, "objects": objects, "connected": True, "staleness_seconds": staleness, "last_event": AT}
    for kind, objects, staleness in (("EndpointSlice", 1240, 0.4), ("Namespace", 38, 2.1), ("Service", 912, 1.7))
]


def document(**changes: Any) -> dict[str, Any]:
    """Make a document of a server at work, with other values for some of its keys."""
    made: dict[str, Any] = {
        "at": AT,
        "observed_seconds": 62.0,
        "state": "current",
        "version": "0.1.0",
        "corefile_sha512": "3c6b1e" * 21 + "ab",
        "sections": {
            "kubernetes": [
                {"state": "current", "server": "10.96.0.1:443", "stale_after_seconds": 10.0, "kinds": KINDS}
            ],
            "upstreams": [
                {"zone": ".", "to": "9.9.9.9:53", "transport": "dns", "health": "up", "failed_checks": 0,
                 "per_second": 31.2, "mean_seconds": 0.0142},
                {"zone": "corp.example.", "to": "192.0.2.53:853", "transport": "tls", "health": "down",
                 "failed_checks": 7, "per_second": 0.0, "mean_seconds": None},
            ],
        },
        "rates": {
            "questions": 1834.6,
            "answers": {"NOERROR": 1402.0, "NXDOMAIN": 411.6, "SERVFAIL": 21.0},
            "unanswered": {"overload": 0.0},
            "hit_ratio": 0.981,
            "cache_hit_ratio": 0.64,
            "p50_seconds": 0.00009,
            "p99_seconds": 0.0021,
        },
        "history": {
            "questions": [1500.0 + 37 * (number * 7 % 11) for number in range(60)],
            "p99_seconds": [None if number < 5 else 0.001 + 0.0002 * (number * 5 % 7) for number in range(60)],
        },
        "looked_at": 0.25,
        "clients": [
            {"address": "10.244.3.17", "name": "pod prod/web-7d4b9c-x2x9q", "per_second": 312.0},
            {"address": "10.244.1.4", "name": "pod batch/importer-0", "per_second": 140.5},
            {"address": "fd00:10:244::1a", "name": "", "per_second": 3.2},
        ],
        "names": [
            {"name": "db.prod.svc.cluster.local.", "type": "A", "per_second": 402.0},
            {"name": "db.prod.svc.cluster.local.", "type": "AAAA", "per_second": 398.0},
            {"name": "_https._tcp.kubernetes.default.svc.cluster.local.", "type": "SRV", "per_second": 12.0},
            {"name": "storage.googleapis.com.", "type": "A", "per_second": 0.4},
        ],
        "nxdomain": [
            {"name": "storage.googleapis.com.prod.svc.cluster.local.", "type": "A", "per_second": 99.0,
             "why": "search list: the name with one dot less resolves; write a dot at its end"},
            {"name": "db.prodd.svc.cluster.local.", "type": "A", "per_second": 2.0,
             "why": 'namespace "prodd" does not exist; did you mean "prod"?'},
        ],
        "servfail": [
            {"name": "git.corp.example.", "type": "A", "per_second": 1.2, "why": "upstream 192.0.2.53:853: no answer"}
        ],
        "changes": [
            {"at": AT, "object": "prod/db", "kind": "EndpointSlice", "text": "endpoint 10.244.3.9 ready",
             "seconds": 0.0004},
            {"at": AT, "object": "batch/importer", "kind": "Service", "text": "changed: port 8080", "seconds": 0.00007},
        ],
        "process": {
            "workers": 1, "cpu_share": 0.052, "resident_bytes": 94 << 20, "limit_bytes": 170 << 20,
            "answers_bytes": 12 << 20, "answers_limit_bytes": 40 << 20, "started": "2026-11-29T08:00:00Z",
        },
        "shed": [],
    }  # fmt: skip
    return {**made, **changes}


def service(explanation: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Make a Service with one endpoint."""
    made: dict[str, Any] = {
        "namespace": "prod",
        "name": "db",
        "type": "ClusterIP",
        "verdict": "resolves",
        "explanation": explanation,
        "names": [{"name": "db.prod.svc.cluster.local.", "type": "A", "records": ["10.96.0.20"], "count": 1}],
        "endpoints": [
            {"address": "10.244.3.9", "state": "ready", "pod": "db-0", "node": "node-a", "zone": "eu-1a"},
        ],
        "endpoint_count": 1,
        "per_second": {"db.prod.svc.cluster.local. A": 402.0},
    }
    return {**made, **changes}


class PicturedLive:
    """The picture of a test: what it shows may be replaced at any time."""

    def __init__(self) -> None:
        self.shown: Mapping[str, Any] = document()
        self.services: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.files = {"Corefile": ".:53 {\n    kubernetes cluster.local\n    dashboard\n}\n"}
        self.looks = 0

    async def document(self) -> Mapping[str, Any]:
        self.looks += 1
        return self.shown

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.services.get((namespace, name))

    def corefile(self) -> Mapping[str, Any]:
        return {"sha512": self.shown["corefile_sha512"], "files": self.files}
