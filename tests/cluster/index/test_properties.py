"""The index after any history equals the index built anew, and a kept answer equals a fresh one.

Objects are drawn from few names and addresses, so that they meet: two Services share an address, an endpoint stands in
two slices, a slice comes before its Service and stays after it.
"""

from collections.abc import Callable, Hashable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.answers.table import AnswerTable
from clusterdns.chain import Query, Reply, failure
from clusterdns.chain.fallthrough import Fallthrough
from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.index.pods import PodMode
from clusterdns.cluster.index.zone import ClusterZone
from clusterdns.cluster.objects import (
    Change,
    Endpoint,
    EndpointSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    key_of,
    packed,
)
from clusterdns.plugins.kubernetes.handler import ClusterHandler
from clusterdns.server.dispatch import Dispatch, ListenerContext
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.server.tap import Tap
from clusterdns.telemetry.metrics import Registry, Series
from clusterdns.telemetry.queries import HitTime, QueryCounters
from clusterdns.wire import codes, name

NAMESPACES = ("prod", "test")
LABELS = ("a", "b")
IPS = ("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::")
HOSTS = ("", "pod-0", "pod-1")
PORTS = (Port("http", 80, "TCP"), Port("dns", 53, "UDP"), Port("dns-tcp", 53, "TCP"), Port("", 8080, "TCP"))
ZONES = ("cluster.local.", "in-addr.arpa.", "ip6.arpa.")
TARGETS = ("a.prod.svc.cluster.local", "b.test.svc.cluster.local", "example.com", "10.0.0.9", "")
State = dict[tuple[type[Object], tuple[str, str]], Object]

some_ips = st.lists(st.sampled_from(IPS), min_size=1, max_size=2, unique=True).map(tuple)
some_ports = st.lists(st.sampled_from(PORTS), max_size=3, unique=True).map(tuple)
endpoints = st.builds(
    Endpoint, addresses=some_ips, hostname=st.sampled_from(HOSTS), target_name=st.sampled_from(("", "pod-1"))
)
namespaces = st.sampled_from(NAMESPACES)
labels = st.sampled_from(LABELS)
objects: st.SearchStrategy[Object] = st.one_of(
    st.builds(Namespace, name=namespaces),
    st.builds(Service, namespace=namespaces, name=labels, cluster_ips=some_ips, ports=some_ports),
    st.builds(Service, namespace=namespaces, name=labels, headless=st.just(True), ports=some_ports),
    st.builds(
        Service,
        namespace=namespaces,
        name=labels,
        type=st.just("ExternalName"),
        external_name=st.sampled_from(TARGETS),
    ),
    st.builds(
        EndpointSlice,
        namespace=namespaces,
        name=st.sampled_from(("s1", "s2", "s3")),
        service=st.sampled_from(("", *LABELS)),
        ports=some_ports,
        endpoints=st.lists(endpoints, max_size=3).map(tuple),
    ),
    st.builds(Pod, namespace=namespaces, name=labels, ips=some_ips),
)
# a step adds or updates the object, or removes it
histories = st.lists(st.tuples(objects, st.booleans()), max_size=25)


def changes(history: Iterable[tuple[Object, bool]]) -> tuple[list[Change], State]:
    """The changes that a source reports for these steps, and the state at the end."""
    state: State = {}
    made = []
    for obj, is_removal in history:
        key = (type(obj), key_of(obj))
        old = state.pop(key, None)
        if not is_removal:
            state[key] = obj
            made.append(Change(old, obj))
        elif old is not None:
            made.append(Change(old, None))
    return made, state


class Server:
    """An index behind a dispatcher, queried in process."""

    def __init__(self, pods: PodMode, *, use_pod_names: bool = False) -> None:
        self.listener = ListenerContext("udp", "1", AnswerTable(), HitTime(), Tap())
        self.index = Index(use_pod_names=use_pod_names, clock=lambda: 1_700_000_000)
        self.index.subscribe(self._forget)
        self.index.synced = True
        names = [name.from_text(text) for text in ZONES]
        zones = [
            ClusterZone(
                zone,
                self.index,
                primary=names[0],
                ttl_seconds=5,
                pods=pods,
                local_addresses=lambda: [packed("10.0.0.1")],
            )
            for zone in names
        ]
        chain = Chain(ClusterHandler(zones, 5, Fallthrough(), self._nobody, unready=str), counts_queries=False)
        routes = Routes(Route(zone, "", chain) for zone in names)
        self._dispatch = Dispatch(routes, QueryCounters(Registry(), ""), Series())

    def _forget(self, dependencies: set[Hashable]) -> None:
        self.listener.answers.forget(dependencies)

    async def _nobody(self, query: Query) -> Reply:
        return failure(codes.REFUSED, "no zone", is_unhandled=True)

    def apply(self, made: Iterable[Change]) -> None:
        for change in made:
            self.index.apply(change)

    def ask(self, tail: bytes) -> bytes:
        """The reply to the query with these bytes after its ID, as a listener sends it."""
        kept = self.listener.answers.entries.get(tail)
        if kept is not None:
            return kept.message()
        return self.compile(tail)

    def compile(self, tail: bytes) -> bytes:
        """The reply without the answer table."""
        reply = self._dispatch.miss(b"\0\0" + tail, ("127.0.0.1", 4), "127.0.0.1", self.listener)
        assert isinstance(reply, bytes)
        return reply[2:]


def question(qname: str, qtype: int) -> bytes:
    return b"\1\0\0\1\0\0\0\0\0\0" + name.from_text(qname) + bytes((0, qtype, 0, 1))


def all_names() -> list[str]:
    below = ["", "svc.", "pod.", "ns.dns.", "dns.", "dns-version.", "nobody."]
    for namespace in (*NAMESPACES, "nobody"):
        below += [f"{namespace}.svc.", f"{namespace}.pod.", f"10-0-0-1.{namespace}.pod.", f"fd00--1.{namespace}.pod."]
        for label in (*LABELS, "c"):
            service = f"{label}.{namespace}.svc."
            below += [service, f"_tcp.{service}", f"_udp.{service}", f"x.y.z.{service}"]
            below += [f"_{port}._{protocol}.{service}" for port in ("http", "dns", "no") for protocol in ("tcp", "udp")]
            below += [f"{host}.{service}" for host in ("pod-0", "pod-1", "10-0-0-1", "10-0-0-2", "fd00--1", "fd00--0")]
    reverse = [name.to_text(name.from_address(packed(ip))) for ip in IPS]
    above = [text.split(".", depth)[depth] for text in reverse for depth in (1, 2, 3)]
    return [text + "cluster.local." for text in below] + reverse + above


QTYPES = (codes.A, codes.AAAA, codes.SRV, codes.PTR, codes.CNAME, codes.NS, codes.SOA, codes.TXT)
QUESTIONS = [question(qname, qtype) for qname in all_names() for qtype in QTYPES]
# some of them, with every dependency and form, for the tests that query after each change
FEW_QUESTIONS = [
    one for number, one in enumerate(QUESTIONS) if number % 11 == 0 or (b"\x03svc" in one and one[-3] == codes.A)
]

few = settings(max_examples=40, deadline=None)


def built_anew(state: Iterable[Object], pods: PodMode, *, use_pod_names: bool) -> Server:
    server = Server(pods, use_pod_names=use_pod_names)
    server.apply(Change(None, obj) for obj in state)
    return server


@few
@given(histories, st.sampled_from(PodMode), st.booleans(), st.randoms(use_true_random=False))
def test_answers_depend_on_the_state_not_the_history(
    history: list[tuple[Object, bool]], pods: PodMode, use_pod_names: bool, random: Callable[..., None]
) -> None:
    made, state = changes(history)
    server = Server(pods, use_pod_names=use_pod_names)
    server.apply(made)
    others = list(state.values())
    random.shuffle(others)  # type: ignore[attr-defined]
    fresh = built_anew(others, pods, use_pod_names=use_pod_names)
    fresh.index.serial.wire = server.index.serial.wire  # the moment of the last change is history indeed
    for tail in QUESTIONS:
        assert fresh.ask(tail) == server.ask(tail), tail


@few
@given(histories, st.sampled_from(PodMode), st.booleans())
def test_a_kept_answer_is_what_would_be_compiled_now(
    history: list[tuple[Object, bool]], pods: PodMode, use_pod_names: bool
) -> None:
    made, _ = changes(history)
    server = Server(pods, use_pod_names=use_pod_names)
    for change in made:
        for tail in FEW_QUESTIONS:
            server.ask(tail)
            server.ask(tail)  # a negative answer is kept from its second query on
        server.apply([change])
        entries = server.listener.answers.entries
        for tail, kept in tuple(entries.items()):
            assert kept.message() == server.compile(tail), (change, tail)


@few
@given(histories)
def test_an_emptied_index_has_no_state(history: list[tuple[Object, bool]]) -> None:
    made, state = changes(history)
    server = Server(PodMode.VERIFIED)
    server.apply(made)
    server.apply(Change(obj, None) for obj in state.values())
    empty = Index()
    left = {key: value for key, value in vars(server.index).items() if isinstance(value, dict | set)}
    assert left == {key: value for key, value in vars(empty).items() if isinstance(value, dict | set)}
    assert not any(map(len, vars(server.index.reverse).values()))


@pytest.mark.parametrize("leaves_first", [True, False])
@pytest.mark.parametrize("qname", ["db.prod.svc.cluster.local", "pod-0.db.prod.svc.cluster.local"])
def test_an_endpoint_that_moves_between_slices_does_not_disappear(leaves_first: bool, qname: str) -> None:
    moving, other = Endpoint(("10.0.0.1",), "pod-0"), Endpoint(("10.0.0.2",), "pod-1")

    def holding(label: str, *endpoints: Endpoint) -> EndpointSlice:
        return EndpointSlice("prod", label, "db", PORTS[:1], endpoints)

    server = Server(PodMode.DISABLED)
    service = Service("prod", "db", headless=True)
    first, second = holding("s1", moving, other), holding("s2")
    server.apply(Change(None, obj) for obj in (Namespace("prod"), service, first, second))
    leave, come = Change(first, holding("s1", other)), Change(second, holding("s2", moving))
    forward, reverse = question(qname, codes.A), question("1.0.0.10.in-addr.arpa", codes.PTR)
    before = (server.ask(forward), server.ask(reverse))
    assert packed("10.0.0.1") in before[0]
    if leaves_first:
        server.apply([leave])  # in between no slice lists it
        server.ask(forward)
        server.ask(reverse)
        server.apply([come])
    else:
        server.apply([come])
        assert packed("10.0.0.1") in server.ask(forward)
        server.apply([leave])
    assert packed("10.0.0.1") in server.ask(forward)
    assert server.ask(reverse) == before[1]


START: list[Object] = [
    Namespace("prod"),
    Service("prod", "web", cluster_ips=("10.96.0.1",), ports=PORTS[:1]),
    Service("prod", "db", headless=True),
    EndpointSlice("prod", "db-1", "db", PORTS[:1], (Endpoint(("10.0.0.1",), "pod-0"),)),
    Service("prod", "alias", type="ExternalName", external_name="web.prod.svc.cluster.local"),
    Service("prod", "far", type="ExternalName", external_name="alias.prod.svc.cluster.local"),
    Service("prod", "dangling", type="ExternalName", external_name="new.prod.svc.cluster.local"),
    Service("prod", "ring", type="ExternalName", external_name="gnir.prod.svc.cluster.local"),
    Service("prod", "gnir", type="ExternalName", external_name="ring.prod.svc.cluster.local"),
]
WEB, ALIAS, GNIR, SLICE = START[1], START[4], START[8], START[3]
NEW_WEB = Service("prod", "web", cluster_ips=("10.96.0.2",), ports=PORTS[:1])
MORE = EndpointSlice("prod", "db-2", "db", PORTS[:1], (Endpoint(("10.0.0.2",), "pod-0"),))


@pytest.mark.parametrize(
    ("qname", "qtype", "change"),
    [
        ("new.prod", codes.A, Change(None, Service("prod", "new", cluster_ips=("10.96.0.3",)))),
        ("_tcp.new.prod", codes.A, Change(None, Service("prod", "new", cluster_ips=("10.96.0.3",), ports=PORTS[:1]))),
        ("web.prod", codes.A, Change(WEB, NEW_WEB)),
        ("web.prod", codes.A, Change(WEB, None)),
        ("web.prod", codes.A, Change(START[0], None)),
        ("test", codes.A, Change(None, Namespace("test"))),
        ("db.prod", codes.A, Change(None, MORE)),
        ("db.prod", codes.A, Change(SLICE, None)),
        ("pod-0.db.prod", codes.A, Change(None, MORE)),
        ("_http._tcp.db.prod", codes.SRV, Change(None, MORE)),
        ("alias.prod", codes.A, Change(WEB, NEW_WEB)),
        ("far.prod", codes.A, Change(WEB, NEW_WEB)),
        ("far.prod", codes.A, Change(ALIAS, None)),
        ("dangling.prod", codes.A, Change(None, Service("prod", "new", cluster_ips=("10.96.0.3",)))),
        ("ring.prod", codes.A, Change(GNIR, Service("prod", "gnir", cluster_ips=("10.96.0.4",), ports=PORTS[:1]))),
        ("1.0.96.10", codes.PTR, Change(WEB, NEW_WEB)),
        ("2.0.96.10", codes.PTR, Change(WEB, NEW_WEB)),
        ("1.0.0.10", codes.PTR, Change(SLICE, None)),
        ("1.0.0.10", codes.PTR, Change(None, Service("prod", "new", cluster_ips=("10.0.0.1",)))),
        ("10-0-0-1.prod.pod", codes.A, Change(None, Pod("prod", "runner", ("10.0.0.1",)))),
        ("apex", codes.NS, Change(SLICE, None)),
        ("apex", codes.NS, Change(None, Service("prod", "twin", headless=True))),
    ],
)
def test_a_change_is_seen_by_the_next_query(qname: str, qtype: int, change: Change) -> None:
    endings = {codes.PTR: ".in-addr.arpa", codes.NS: ""}
    ending = endings.get(qtype, ".cluster.local" if qname.endswith("pod") else ".svc.cluster.local")
    tail = question("cluster.local" if qname == "apex" else qname + ending, qtype)
    server = Server(PodMode.VERIFIED)
    server.apply(Change(None, obj) for obj in START)
    before = [server.ask(tail) for _ in range(3)][-1]
    server.apply([change])
    assert server.ask(tail) == server.compile(tail)
    if change.new != Service("prod", "twin", headless=True):
        assert server.ask(tail) != before


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_of_changes_does_not_matter(order: tuple[int, ...]) -> None:
    """Three slices list the same endpoint, each with another address."""
    server = Server(PodMode.DISABLED)
    server.apply(Change(None, obj) for obj in (Namespace("prod"), Service("prod", "db", headless=True)))
    endpoint = [Endpoint((f"10.0.0.{3 - n}",), "pod-0") for n in range(3)]
    server.apply(Change(None, EndpointSlice("prod", f"s{n}", "db", PORTS[:1], (endpoint[n],))) for n in order)
    for qname in ("pod-0.db.prod.svc.cluster.local", "db.prod.svc.cluster.local"):
        assert server.ask(question(qname, codes.A))[-4:] == packed("10.0.0.1")
