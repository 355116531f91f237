"""`clusterdns status`: the page /status of a running server, and its state as the exit code.

0: all that it answers is current. 1: it is not (a kind is stale, or the first lists are missing). 2: unknown, because
the server cannot be reached or the reply is not a status.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from clusterdns.cli.admin_page import READY, NoPageError, fetch_page, page_url
from clusterdns.cli.flags import Flag, choice
from clusterdns.cli.progress import progress
from clusterdns.cli.usage import CommandHelp, read_command, wrong
from clusterdns.telemetry.printable import one_line
from clusterdns.telemetry.status_text import as_text

TIMEOUT_SECONDS = 5.0
MAX_ERROR = 500  # characters of it
EXIT_CURRENT, EXIT_NOT_CURRENT, EXIT_UNKNOWN = 0, 1, 2
TEXT, JSON = "text", "json"

DEFAULT_SERVER = f"127.0.0.1:{READY.port}"
SERVER = Flag(
    "server s", f"Address of 'ready' of the server (default http://{DEFAULT_SERVER}).", DEFAULT_SERVER, value="URL"
)
OUTPUT = Flag("output o", "text or json (default text).", TEXT, value="FORM", read=choice(TEXT, JSON))
ABOUT = """Show what a running server knows: its watches of the API server, its upstreams, and its Corefile's hash.

Exit code 0: all is current. 1: kinds of objects are stale, or not read yet. 2: unknown; no server is reached.

Examples:
  status --server 10.244.0.5:8181
  status -o json | jq .state"""
HELP = CommandHelp("status [FLAGS]", ABOUT, (SERVER, OUTPUT))


def main(program: str, arguments: Sequence[str]) -> int:
    """Print the status; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    if given.arguments:
        return wrong(f"{program} status", f"unexpected argument '{given.arguments[0]}'")
    url = status_url(given[SERVER])
    try:
        with progress(f"asking {url}", is_quiet=given[OUTPUT] == JSON):
            document = fetch(url)
    except NoPageError as error:
        print(f"{program} status: {one_line(str(error), MAX_ERROR)}", file=sys.stderr)
        return EXIT_UNKNOWN
    sys.stdout.write(f"{json.dumps(document, indent=2)}\n" if given[OUTPUT] == JSON else as_text(document))
    return EXIT_CURRENT if document["state"] == "current" else EXIT_NOT_CURRENT


def status_url(server: str) -> str:
    """Return the URL of the page: of a URL, of HOST:PORT, or of HOST."""
    return page_url(server, "status.json")


def fetch(url: str) -> dict[str, Any]:
    """Get the document. Raises NoPageError."""
    document = fetch_page(url, TIMEOUT_SECONDS)
    if not isinstance(document, dict) or not isinstance(document.get("state"), str):
        raise NoPageError(f"{url}: not a status; {READY.hint}")
    return document
