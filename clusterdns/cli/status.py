"""`clusterdns status`: the page /status of a running server, and its state as the exit code.

0: all that it answers is current. 1: it is not (a kind is stale, or the first lists are missing). 2: unknown, because
the server cannot be reached or the reply is not a status.
"""

import json
import sys
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from clusterdns.cli.flags import Flag, choice
from clusterdns.cli.usage import read_command, wrong
from clusterdns.telemetry.status_text import as_text

DEFAULT_SERVER = "127.0.0.1:8181"
DEFAULT_PORT = 8181
TIMEOUT_SECONDS = 5.0
MAX_BYTES = 4 << 20
EXIT_CURRENT, EXIT_NOT_CURRENT, EXIT_UNKNOWN = 0, 1, 2
TEXT, JSON = "text", "json"

SERVER = Flag(
    "server s", f"Address of 'ready' of the server (default http://{DEFAULT_SERVER}).", DEFAULT_SERVER, value="URL"
)
OUTPUT = Flag("output o", "text or json (default text).", TEXT, value="FORM", read=choice(TEXT, JSON))
ABOUT = """Show what a running server knows: its watches of the API server, its upstreams, and its Corefile's hash.

Exit code 0: all is current. 1: kinds of objects are stale, or not read yet. 2: unknown; no server is reached."""


class NoStatusError(Exception):
    """The server cannot be reached, or does not answer with a status; the text says why and what to do."""


def main(program: str, arguments: Sequence[str]) -> int:
    """Print the status; returns the exit code."""
    given = read_command(program, "status [FLAGS]", ABOUT, (SERVER, OUTPUT), arguments)
    if isinstance(given, int):
        return given
    if given.arguments:
        return wrong(f"{program} status", f"unexpected argument '{given.arguments[0]}'")
    try:
        document = fetch(status_url(given[SERVER]))
    except NoStatusError as error:
        print(f"{program} status: {error}", file=sys.stderr)
        return EXIT_UNKNOWN
    sys.stdout.write(f"{json.dumps(document, indent=2)}\n" if given[OUTPUT] == JSON else as_text(document))
    return EXIT_CURRENT if document["state"] == "current" else EXIT_NOT_CURRENT


def status_url(server: str) -> str:
    """Return the URL of the page: of a URL, of HOST:PORT, or of HOST."""
    scheme, separator, rest = server.rpartition("://")
    host = rest.rstrip("/").removesuffix("/status").removesuffix("/status.json")
    has_port = host.rpartition("]")[2].count(":") == 1
    if not separator and not has_port:
        host = f"[{host}]:{DEFAULT_PORT}" if host.count(":") > 1 and host[0] != "[" else f"{host}:{DEFAULT_PORT}"
    return f"{scheme or 'http'}://{host}/status.json"


def fetch(url: str) -> dict[str, Any]:
    """Get the document. Raises NoStatusError."""
    if not url.startswith(("http://", "https://")):
        raise NoStatusError(f"{url}: not a URL of HTTP; name the address of 'ready' with --server")
    opener = build_opener(ProxyHandler({}))  # a server of the cluster is not behind the proxy of this shell
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as response:
            body = response.read(MAX_BYTES)
    except HTTPError as error:
        raise NoStatusError(f"{url}: {error.code} {error.reason}; name the address of 'ready' with --server") from None
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise NoStatusError(f"{url}: {text.lower()}; does the server run, with 'ready' in its Corefile?") from None
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("state"), str):
        raise NoStatusError(f"{url}: not a status; name the address of 'ready' with --server")
    return document
