"""The pages of a running server's admin port, for commands: their URLs, and the JSON that they answer with."""

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

DEFAULT_SERVER = "127.0.0.1:8181"
DEFAULT_PORT = 8181
MAX_BYTES = 4 << 20
HINT = "name the address of 'ready' with --server"


class NoPageError(Exception):
    """The server cannot be reached, or does not answer with the page; the text says why and what to do."""


class RefusedRequestError(NoPageError):
    """The server has the page, and refuses this request; the text is the server's reason."""


def page_url(server: str, page: str) -> str:
    """Return the URL of a page such as `status.json`: of a URL, of HOST:PORT, or of HOST."""
    scheme, separator, rest = server.rpartition("://")
    host = rest.rstrip("/").removesuffix("/status").removesuffix("/status.json").removesuffix("/explain")
    has_port = host.rpartition("]")[2].count(":") == 1
    if not separator and not has_port:
        host = f"[{host}]:{DEFAULT_PORT}" if host.count(":") > 1 and host[0] != "[" else f"{host}:{DEFAULT_PORT}"
    return f"{scheme or 'http'}://{host}/{page}"


def fetch_page(url: str, timeout_seconds: float) -> Any:
    """Get the document of a page; None where it is not JSON. Raises NoPageError."""
    if not url.startswith(("http://", "https://")):
        raise NoPageError(f"{url}: not a URL of HTTP; {HINT}")
    opener = build_opener(ProxyHandler({}))  # a server of the cluster is not behind the proxy of this shell
    try:
        with opener.open(url, timeout=timeout_seconds) as response:
            body = response.read(MAX_BYTES)
    except HTTPError as error:
        reason = _reason(error)
        if reason:
            raise RefusedRequestError(reason) from None
        raise NoPageError(f"{url}: {error.code} {error.reason}; {HINT}") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        why = getattr(error, "reason", None) or error
        text = getattr(why, "strerror", None) or str(why) or type(why).__name__
        raise NoPageError(f"{url}: {text.lower()}; does the server run, with 'ready' in its Corefile?") from None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _reason(error: HTTPError) -> str:
    """Return the reason that a page gives for a refusal; empty where there is none."""
    try:
        document = json.loads(error.read(MAX_BYTES))
    except (HTTPException, OSError, ValueError, RecursionError):
        return ""
    return str(document.get("error", "")) if isinstance(document, dict) else ""
