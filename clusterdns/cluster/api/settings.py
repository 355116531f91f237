"""What the API source is told: which API server, whose credentials, which objects.

The `kubernetes` plugin fills a `Settings` from its Corefile block; `credentials` reads the first half of it, `api` the
second, and the rest of this folder only the intervals. Nothing here is checked against the API server.
"""

from dataclasses import dataclass

DEFAULT_STARTUP_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class ClientTls:
    """Files of the `tls` option: our certificate and key, and the authority that signed the server's."""

    cert: str
    key: str
    ca: str


@dataclass(frozen=True)
class Intervals:
    """Times of the conversation with the API server. Only tests have a reason to change them."""

    connect_seconds: float = 10.0
    list_read_seconds: float = 60.0  # without a byte; the server's own limit of a request is 60 s
    silence_seconds: float = 150.0  # of a watch: bookmarks come once a minute, so two were missed
    shortest_watch_seconds: int = 300  # the server ends a watch after a random time between this and twice this
    first_retry_seconds: float = 0.05
    last_retry_seconds: float = 5.0


@dataclass(frozen=True)
class Settings:
    """One kubernetes block. Credentials: `kubeconfig` before `endpoint` before the pod's own service account."""

    kubeconfig: str = ""
    context: str = ""
    endpoint: str = ""
    tls: ClientTls | None = None
    namespaces: tuple[str, ...] = ()
    labels: str = ""
    namespace_labels: str = ""
    endpoints: bool = True  # false is the option `noendpoints`
    pods: bool = False  # true is `pods verified`
    imports: bool = False  # true is `multicluster`
    startup_timeout_seconds: float = DEFAULT_STARTUP_TIMEOUT_SECONDS
    page_limit: int = 500
    intervals: Intervals = Intervals()
