"""The settings of the API source: which API server, with which credentials, and which objects to read.

The `kubernetes` plugin makes an `ApiSettings` of its Corefile block. `credentials` reads the fields up to `tls`,
`source` the rest, and `client` and `follow` the intervals. Nothing here is checked against the API server.
"""

import math

import msgspec

DEFAULT_STARTUP_TIMEOUT_SECONDS = 5.0
DEFAULT_STALE_AFTER_SECONDS = 10.0
DEFAULT_AUDIT_SECONDS = 300.0


class ClientTls(msgspec.Struct, frozen=True):
    """The files of the `tls` option: our certificate and key, and the authority that signed the server's."""

    cert: str
    key: str
    ca: str


class Intervals(msgspec.Struct, frozen=True):
    """Timeouts and retry intervals towards the API server; no Corefile option changes them."""

    connect_seconds: float = 5.0  # the kernel sends a SYN each second (tcp_syn_linear_timeouts), less often after that
    list_read_seconds: float = 60.0  # without a byte; the server ends a request after 60 s
    bookmark_seconds: float = 60.0  # between two bookmarks of a watch, until the server's own rhythm is known
    silence_seconds: float = 150.0  # of a watch that cannot be replaced
    shortest_watch_seconds: int = 300  # the server ends a watch after a random time between this and twice this
    first_retry_seconds: float = 0.05
    last_retry_seconds: float = 0.7  # of all collections together: names are asked for all the time
    last_own_retry_seconds: float = 5.0  # of a collection that is forbidden


class ApiSettings(msgspec.Struct, frozen=True):
    """What one kubernetes block reads. Credentials: `kubeconfig`, else `endpoint`, else the pod's service account."""

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
    stale_after_seconds: float = DEFAULT_STALE_AFTER_SECONDS  # infinity is `stale_after off`
    audit_seconds: float = math.inf  # between two audits; infinity is `audit off`
    page_limit: int = 500
    intervals: Intervals = Intervals()
