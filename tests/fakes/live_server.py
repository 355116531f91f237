"""A server of the live document, which a test changes, refuses, or takes away."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

PICTURE: dict[str, Any] = {
    "at": "2026-11-30T19:20:11Z",
    "observed_seconds": 42.0,
    "state": "current",
    "version": "0.1.0",
    "corefile_sha512": "3c6b1e0123456789abcdef",
    "sections": {
        "kubernetes": [{
            "state": "current", "server": "10.96.0.1:443", "stale_after_seconds": 10.0,
            "kinds": [
                {"kind": "EndpointSlice", "objects": 97, "connected": True, "staleness_seconds": 0.4},
                {"kind": "Service", "objects": 90, "connected": False, "staleness_seconds": 12.1},
            ],
        }],
        "upstreams": [
            {"zone": ".", "to": "9.9.9.9:53", "transport": "dns", "health": "up", "failed_checks": 0,
             "per_second": 3.4, "mean_seconds": 0.0123},
            {"zone": ".", "to": "192.0.2.9:53", "transport": "dns", "health": "down", "failed_checks": 7},
        ],
    },
    "rates": {
        "questions": 1234.5, "answers": {"NOERROR": 1200.0, "NXDOMAIN": 30.2, "SERVFAIL": 4.3},
        "unanswered": {"overload": 1.5}, "hit_ratio": 0.983, "cache_hit_ratio": None,
        "p50_seconds": 0.00004, "p99_seconds": 0.0123,
    },
    "history": {"questions": [0, 500, 1000, 1234.5], "p99_seconds": [None, 0.001, 0.002, 0.0123]},
    "looked_at": 0.25,
    "clients": [{"address": "10.1.2.3", "name": "pod prod/web-0", "per_second": 612.3}],
    "names": [{"name": "db.prod.svc.cluster.local.", "type": "A", "per_second": 400.5}],
    "nxdomain": [{
        "name": "db.prodd.svc.cluster.local.", "type": "A", "per_second": 3.5,
        "why": 'NXDOMAIN: namespace "prodd" does not exist; did you mean "prod"?',
    }],
    "servfail": [{"name": "x.example.", "type": "AAAA", "per_second": 0.3, "why": ""}],
    "changes": [{
        "at": "2026-11-30T19:20:10Z", "object": "prod/db", "kind": "EndpointSlice", "text": "endpoint 10.1.2.3 ready",
        "seconds": 0.0004,
    }],
    "process": {
        "workers": 1, "cpu_share": 0.05, "resident_bytes": 120 << 20, "limit_bytes": 170 << 20,
        "answers_bytes": 12 << 20, "answers_limit_bytes": 64 << 20, "started": "2026-11-30T16:20:10Z",
    },
    "shed": [{"source": "10.1.2.9", "per_second": 5.0, "why": "more queries under way than it may have"}],
}  # fmt: skip


class LiveServer:
    """Answers /live.json with `body`, or `document` where there is none, and keeps the headers of requests."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        self.document = PICTURE if document is None else document
        self.body: bytes | None = None
        self.status = 200
        self.token = ""
        self.requests = 0
        self.observes_after = 0  # requests; those before see a server that nobody has looked at
        self.location = ""  # of a redirection
        self.headers: list[dict[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def address(self) -> str:
        """Return HOST:PORT."""
        return f"127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port, so that connections are refused; a second call does nothing."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()

    def reopened(self) -> "LiveServer":
        """Return another server on the same port, to be entered."""
        other = LiveServer(self.document)
        other._http.server_close()
        other._http = ThreadingHTTPServer(self._http.server_address[:2], other._handler())
        other._thread = threading.Thread(target=other._http.serve_forever, args=(0.05,), daemon=True)
        return other

    def respond(self) -> tuple[int, bytes]:
        """Make the response to a request."""
        if self.body is not None:
            return self.status, self.body
        document = self.document
        if self.requests <= self.observes_after:
            document = {**document, "observed_seconds": 0.0}
        return self.status, json.dumps(document).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            """One connection."""

            def do_GET(self) -> None:
                server.requests += 1
                server.headers.append(dict(self.headers))
                code, body = server.respond() if self.path == "/live.json" else (404, b"404 page not found\n")
                if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                    code, body = 401, b'{"error": "who are you"}'
                if server.location:
                    code, body = 302, b""
                self.send_response(code)
                if server.location:
                    self.send_header("Location", server.location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Write no line to standard error."""

        return Handler
