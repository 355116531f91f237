"""The command `top`: it reads the flags, asks for the first picture, and shows one or the live one."""

import json
import shutil
import sys
import time
from collections.abc import Sequence

from clusterdns.cli.admin_page import DASHBOARD, NoPageError
from clusterdns.cli.flags import Flag
from clusterdns.cli.progress import progress
from clusterdns.cli.top.document import TopReply, fetch, live_url
from clusterdns.cli.top.terminal import is_interactive
from clusterdns.cli.usage import EXIT_OK, CommandHelp, read_command, wrong
from clusterdns.host.files import read_file_or_pipe
from clusterdns.telemetry.printable import one_line

EXIT_UNKNOWN = 2
MIN_INTERVAL_SECONDS, MAX_INTERVAL_SECONDS = 0.5, 20.0  # a server observes for 30 s after it was asked
MAX_TOKEN_BYTES = 4096
MAX_ERROR = 500  # characters
FIRST_RATES_SECONDS, POLL_SECONDS = 5.0, 0.25  # until a server that was not looked at has rates
WIDTH_OF_A_FILE = 120  # columns, where the output is no terminal
DEFAULT_SERVER = f"127.0.0.1:{DASHBOARD.port}"


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not MIN_INTERVAL_SECONDS <= seconds <= MAX_INTERVAL_SECONDS:
        raise ValueError(f"not a number of seconds from {MIN_INTERVAL_SECONDS:g} to {MAX_INTERVAL_SECONDS:g}")
    return seconds


SERVER = Flag("server s", f"Address of 'dashboard' of the server (default http://{DEFAULT_SERVER}).", DEFAULT_SERVER,
              value="URL")  # fmt: skip
TOKEN_FILE = Flag("token-file", "The file with the token, where 'dashboard' has one.", "", value="FILE")
INTERVAL = Flag("interval", "Seconds between two pictures, 0.5 to 20 (default 1).", 1.0, value="SECONDS",
                read=_interval)  # fmt: skip
ONCE = Flag("once", "Print one picture as text, and end.", False)
AS_JSON = Flag("json", "Print one picture as JSON, and end.", False)
ABOUT = """Show live what a running server is asked and answers: rates, response codes, latency, hit ratios, names
and clients that ask most, failures with their causes, upstreams, changes of the cluster, and memory.

The server needs 'dashboard' in its Corefile; it observes only while it is looked at. In a cluster, forward its port:
kubectl -n kube-system port-forward POD 8053. Keys: q ends, tab or 1 to 6 change the view, p pauses, ? lists them all.
Where the output is no terminal, or TERM is dumb, one picture is printed, as with --once.

Exit code 0: shown. 2: no server is reached, or the command line is wrong.

Examples:
  top                                      the server behind 127.0.0.1:8053
  top --server 10.244.0.5                  another one
  top --once --json | jq .rates.questions  for scripts"""
HELP = CommandHelp("top [FLAGS]", ABOUT, (SERVER, TOKEN_FILE, INTERVAL, ONCE, AS_JSON))


def main(program: str, arguments: Sequence[str]) -> int:
    """Show the picture; returns the exit code."""
    given = read_command(program, HELP, arguments)
    if isinstance(given, int):
        return given
    name = f"{program} top"
    if given.arguments:
        return wrong(name, f"unexpected argument '{given.arguments[0]}'")
    url = live_url(given[SERVER])
    shows_one = given[ONCE] or given[AS_JSON] or not is_interactive()
    try:
        token = _token(given[TOKEN_FILE]) if given[TOKEN_FILE] else ""
        with progress(f"asking {url}", is_quiet=given[AS_JSON]):
            reply = fetch(url, token)
            if shows_one:
                reply = _with_rates(reply, url, token)
    except NoPageError as error:
        print(f"{name}: {one_line(str(error), MAX_ERROR)}", file=sys.stderr)
        return EXIT_UNKNOWN
    server = one_line(url.removesuffix("/live.json").partition("://")[2])
    if shows_one:
        sys.stdout.write(f"{json.dumps(reply.document, indent=2)}\n" if given[AS_JSON] else _text(reply, server))
        return EXIT_OK
    from clusterdns.cli.top.follower import Follower
    from clusterdns.cli.top.session import follow  # rich draws it

    return follow(Follower(url, token, given[INTERVAL], reply.picture), server, given[INTERVAL])


def _text(reply: TopReply, server: str) -> str:
    from clusterdns.cli.top.views import as_text  # rich draws it

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_FILE
    return as_text(reply.picture, server, width, sys.stdout.encoding or "utf-8")


def _with_rates(reply: TopReply, url: str, token: str) -> TopReply:
    """Ask again until the server has observed for a second, which it does once it is asked. Raises NoPageError."""
    deadline = time.monotonic() + FIRST_RATES_SECONDS
    while reply.picture.observed_seconds <= 0 and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        reply = fetch(url, token)
    return reply


def _token(path: str) -> str:
    """Read a token. Raises NoPageError where the file has none."""
    try:
        text = read_file_or_pipe(path, MAX_TOKEN_BYTES + 1).decode("ascii").strip()
    except OSError as error:
        raise NoPageError(f"--token-file {path}: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable() or len(text) > MAX_TOKEN_BYTES:
        raise NoPageError(f"--token-file {path}: not a token, which is one line of ASCII")
    return text
