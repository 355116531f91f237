"""The pages of a running server's admin ports, for commands: their URLs, and the JSON that they answer with."""

import json
import time
from http.client import HTTPException, HTTPResponse
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

MAX_BYTES = 4 << 20
_CHUNK_BYTES = 1 << 16
_PAGES = ("/status", "/status.json", "/explain", "/live.json")  # that a URL may have been copied with


class AdminPort(NamedTuple):
    """A directive with pages for commands, the port that it listens on by default, and a hint where none answers."""

    directive: str
    port: int
    in_cluster: str = ""

    @property
    def hint(self) -> str:
        """The next step where something else answers."""
        return f"name the address of '{self.directive}' with --server"


READY = AdminPort("ready", 8181)
DASHBOARD = AdminPort("dashboard", 8053, "; in a cluster: kubectl -n kube-system port-forward POD 8053")


class NoPageError(Exception):
    """The server cannot be reached, or does not answer with the page; the text says why and what to do."""


class RefusedRequestError(NoPageError):
    """The server has the page, and refuses this request; the text is the server's reason."""


def page_url(server: str, page: str, port: AdminPort = READY) -> str:
    """Return the URL of a page such as `status.json`: of a URL, of HOST:PORT, or of HOST."""
    scheme, separator, rest = server.rpartition("://")
    host = rest.rstrip("/")
    for suffix in _PAGES:
        host = host.removesuffix(suffix)
    has_port = host.rpartition("]")[2].count(":") == 1
    if not separator and not has_port:
        host = f"[{host}]:{port.port}" if host.count(":") > 1 and host[0] != "[" else f"{host}:{port.port}"
    return f"{scheme or 'http'}://{host}/{page}"


def fetch_page(url: str, timeout_seconds: float, port: AdminPort = READY, token: str = "") -> Any:
    """Get the document of a page; None where it is not JSON. Raises NoPageError."""
    if not url.startswith(("http://", "https://")):
        raise NoPageError(f"{url}: not a URL of HTTP; {port.hint}")
    opener = build_opener(ProxyHandler({}))  # a server of the cluster is not behind the proxy of this shell
    try:
        request = Request(url)
        if token:  # which is for this server, and not for one that it redirects to
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with opener.open(request, timeout=timeout_seconds) as response:
            body = _read(response, timeout_seconds)
    except HTTPError as error:
        if error.code == 401:
            raise NoPageError(f"{url}: {error.code} {error.reason}; {_token_hint(token)}") from None
        reason = _reason(error)
        if reason:
            raise RefusedRequestError(reason) from None
        raise NoPageError(f"{url}: {error.code} {error.reason}; {port.hint}") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        text = getattr(why, "strerror", None) or str(why) or type(why).__name__
        hint = f"does the server run, with '{port.directive}' in its Corefile?{port.in_cluster}"
        raise NoPageError(f"{url}: {text.lower()}; {hint}") from None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _token_hint(token: str) -> str:
    if token:
        return "the token of --token-file is not the server's"
    return "name the file with the server's token with --token-file"


def _read(response: HTTPResponse, timeout_seconds: float) -> bytes:
    """Read the body, at most MAX_BYTES. Raises TimeoutError where it is longer under way than a silence may be."""
    deadline = time.monotonic() + timeout_seconds
    body = bytearray()
    while len(body) < MAX_BYTES and (chunk := response.read1(_CHUNK_BYTES)):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError(f"no complete reply within {timeout_seconds:g} s")
    return bytes(body)


def _reason(error: HTTPError) -> str:
    """Return the reason that a page gives for a refusal; empty where there is none."""
    try:
        document = json.loads(error.read(MAX_BYTES))
    except (HTTPException, OSError, ValueError, RecursionError):
        return ""
    return str(document.get("error", "")) if isinstance(document, dict) else ""
