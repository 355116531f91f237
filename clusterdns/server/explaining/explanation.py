"""The result of an explanation: plain data, which `clusterdns explain` writes as text and /explain as JSON.

Lists are bounded, and a count beside them says how many there are. Texts may have any character that an object or an
upstream has; what shows them must escape them.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

RESOLVES, DOES_NOT_RESOLVE, UNKNOWN = "resolves", "does not resolve", "unknown"
ANSWERED, PASSED_ON, CHANGED = "answered", "passed on", "changed the reply"  # what a plugin did
END_OF_CHAIN = "end-of-chain"  # the cause of a verdict: no plugin answers the name
MAX_LISTED = 20  # records, slices or endpoints


@dataclass
class ChainStep:
    """A plugin that got the question, and what it did."""

    plugin: str
    place: str  # file:line
    name: str
    type: str
    action: str = ""  # ANSWERED, PASSED_ON or CHANGED
    code: str = ""  # the response code of its reply
    detail: str = ""  # what decided, in the words of the plugin
    seconds: float = 0.0
    depth: int = 0  # of look-ups of other names, such as the target of a CNAME
    steps: list["ChainStep"] = field(default_factory=list)  # the plugins and look-ups that it asked


@dataclass
class UpstreamAttempt:
    """One exchange with an upstream."""

    upstream: str
    transport: str
    seconds: float
    outcome: str


@dataclass
class ExplainedAnswer:
    """The reply, as dig shows it, and the sizes of its message."""

    rcode: str
    answer: list[str] = field(default_factory=list)
    authority: list[str] = field(default_factory=list)
    answer_count: int = 0
    extended_errors: list[str] = field(default_factory=list)
    is_authoritative: bool = False
    is_truncated: bool = False  # by an upstream
    message_bytes: int = 0  # over TCP
    fits_udp_512: bool = True  # without EDNS
    fits_udp_1232: bool = True


@dataclass
class ExplainedPort:
    """A port of a Service, and the name under which DNS has it."""

    name: str
    port: int
    protocol: str
    target_port: str
    node_port: int
    srv_name: str  # empty for a port without a name


@dataclass
class ExplainedEndpoint:
    """An endpoint of a slice, or a pod that the selector matches and no slice lists."""

    addresses: list[str]
    hostname: str
    is_listed: bool  # whether DNS has it
    ready: str  # yes, no or empty where it is not said
    serving: str
    terminating: str
    pod: str
    node: str
    zone: str
    reason: str  # why DNS leaves it out


@dataclass
class ExplainedSlice:
    """An EndpointSlice."""

    name: str
    address_type: str
    endpoint_count: int
    problems: list[str]
    place: str = ""


@dataclass
class ExplainedService:
    """A Service behind the name, or the place in the cluster where it would be."""

    namespace: str
    name: str
    exists: bool
    namespace_exists: bool
    kind: str = "Service"  # or ServiceImport
    type: str = ""
    cluster_ips: list[str] = field(default_factory=list)
    is_headless: bool = False
    external_name: str = ""
    selector: dict[str, str] = field(default_factory=dict)
    near_selector: str = ""  # labels that pods have and the selector may have meant
    near_slice: str = ""  # a slice that may have been meant for this Service, and what it lacks
    near_pod: str = ""  # the pod that has the name of the missing Service
    publishes_not_ready: bool = False
    ip_families: list[str] = field(default_factory=list)
    place: str = ""
    ports: list[ExplainedPort] = field(default_factory=list)
    slices: list[ExplainedSlice] = field(default_factory=list)
    slice_count: int = 0
    endpoints: list[ExplainedEndpoint] = field(default_factory=list)
    endpoint_count: int = 0
    listed_count: int = 0  # endpoints that DNS has
    problems: list[str] = field(default_factory=list)  # parts of objects that are ignored
    unseen: list[str] = field(default_factory=list)  # what could not be read, and why

    @property
    def label(self) -> str:
        """Kind, namespace and name."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass
class ExplainedVerdict:
    """The cause in one line, the next step, and whether the name resolves."""

    outcome: str  # RESOLVES, DOES_NOT_RESOLVE or UNKNOWN
    code: str  # NXDOMAIN, NODATA, SERVFAIL, …; empty where it resolves
    cause: str  # a stable word for programs
    text: str
    next_step: str = ""

    @property
    def line(self) -> str:
        """The verdict as one line."""
        return self.text + (f"; {self.next_step}" if self.next_step else "")


@dataclass
class SearchStep:
    """One name of a search list that a stub resolver tries."""

    name: str
    results: dict[str, str]  # by type: NOERROR, NODATA, NXDOMAIN, …
    effect: str  # what the stub resolver makes of it


@dataclass
class SearchWalk:
    """What one stub resolver makes of a name as a pod writes it."""

    resolver: str  # glibc or musl
    steps: list[SearchStep]
    found: str  # the name that resolves; empty where none does
    failure: str  # the error of getaddrinfo, where none does


@dataclass
class Explanation:
    """Everything about one question."""

    name: str
    type: str
    client: str
    block: str  # the server block, with file and line; empty where none serves the name
    zone: str
    verdict: ExplainedVerdict
    answer: ExplainedAnswer
    steps: list[ChainStep] = field(default_factory=list)
    attempts: list[UpstreamAttempt] = field(default_factory=list)
    services: list[ExplainedService] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)  # what would change the answer
    cached: str = ""
    asked_as: str = ""  # the name as it was given, where a search list was walked
    search_list: list[str] = field(default_factory=list)
    walks: list[SearchWalk] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    corefile: str = ""  # where it is that of a cluster, or built in
    seconds: float = 0.0


def as_tree(found: Explanation) -> dict[str, Any]:
    """Return the explanation as a tree for JSON, with the line of its verdict."""
    tree = asdict(found)
    tree["verdict"]["line"] = found.verdict.line
    return tree
