"""The live document of a server: fetched, checked, and with every text escaped, so that views can show all of it.

docs/dashboard.md lists its keys. A key that a server of another version does not have has its default here.
"""

import math
from typing import Any, NamedTuple

import msgspec

from clusterdns.cli.admin_page import DASHBOARD, NoPageError, fetch_page, page_url
from clusterdns.telemetry.printable import one_line

TIMEOUT_SECONDS = 5.0
MAX_TEXT = 300  # characters; the longest name has 255, and each may be escaped
MAX_ENTRIES = 100  # of a list or mapping
MAX_DEPTH = 12
_MAX_NUMBER = 1e15


class TopRates(msgspec.Struct, frozen=True):
    """What happens per second; ratios and times are None while nothing is known."""

    questions: float = 0.0
    answers: dict[str, float] = {}
    unanswered: dict[str, float] = {}
    hit_ratio: float | None = None
    cache_hit_ratio: float | None = None
    p50_seconds: float | None = None
    p99_seconds: float | None = None


class TopHistory(msgspec.Struct, frozen=True):
    """The last minute by second, oldest first."""

    questions: list[float] = []
    p99_seconds: list[float | None] = []


class TopClient(msgspec.Struct, frozen=True):
    """A client that asks much; `name` is its pod, where known."""

    address: str
    name: str = ""
    per_second: float = 0.0


class TopQuestion(msgspec.Struct, frozen=True):
    """A question that is asked often; `why` it fails, where it does and that is known."""

    name: str
    type: str = ""
    per_second: float = 0.0
    why: str = ""


class TopChange(msgspec.Struct, frozen=True):
    """A change of the cluster, and how soon answers had it."""

    object: str
    text: str
    kind: str = ""
    at: str = ""
    seconds: float | None = None


class TopProcess(msgspec.Struct, frozen=True):
    """What the server uses; `cpu_share` is of one core."""

    workers: int = 1
    cpu_share: float = 0.0
    resident_bytes: int = 0
    limit_bytes: int | None = None
    answers_bytes: int = 0
    answers_limit_bytes: int = 0
    started: str = ""


class TopShed(msgspec.Struct, frozen=True):
    """A source whose queries are not all answered."""

    source: str
    per_second: float = 0.0
    why: str = ""


class TopPicture(msgspec.Struct, frozen=True):
    """The live document; sections are rows of /status."""

    at: str
    observed_seconds: float
    rates: TopRates
    state: str = ""
    version: str = ""
    corefile_sha512: str = ""
    not_ready: dict[str, str] = {}
    warnings: dict[str, str] = {}
    sections: dict[str, list[dict[str, Any]]] = {}
    history: TopHistory = TopHistory()
    looked_at: float = 1.0
    clients: list[TopClient] = []
    names: list[TopQuestion] = []
    nxdomain: list[TopQuestion] = []
    servfail: list[TopQuestion] = []
    changes: list[TopChange] = []
    process: TopProcess = TopProcess()
    shed: list[TopShed] = []


class TopReply(NamedTuple):
    """The document as the server has it, and the picture that is shown."""

    document: dict[str, Any]
    picture: TopPicture


def live_url(server: str) -> str:
    """Return the URL of the document: of a URL, of HOST:PORT, or of HOST."""
    return page_url(server, "live.json", DASHBOARD)


def fetch(url: str, token: str) -> TopReply:
    """Get the document. Raises NoPageError."""
    document = fetch_page(url, TIMEOUT_SECONDS, DASHBOARD, token)
    return TopReply(document, read_picture(url, document))


def read_picture(url: str, document: Any) -> TopPicture:
    """Check a document, with its texts escaped and its lists bounded. Raises NoPageError."""
    try:
        return msgspec.convert(_bounded(document, MAX_DEPTH), TopPicture)
    except msgspec.ValidationError as error:
        raise NoPageError(f"{url}: not a live document ({error}); {DASHBOARD.hint}") from None


def _bounded(value: Any, depth: int) -> Any:
    """Escape and cut texts, shorten lists, and replace numbers that no server counts, such as infinity, by 0."""
    match value:
        case str():
            return one_line(value, MAX_TEXT)
        case bool() | None:
            return value
        case int():
            return value if abs(value) < _MAX_NUMBER else 0
        case float():
            return value if math.isfinite(value) and abs(value) < _MAX_NUMBER else 0.0
        case list() if depth:
            return [_bounded(one, depth - 1) for one in value[:MAX_ENTRIES]]
        case dict() if depth:
            entries = list(value.items())[:MAX_ENTRIES]
            return {one_line(key, MAX_TEXT): _bounded(one, depth - 1) for key, one in entries}
    return None
