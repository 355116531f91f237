"""An index that was cleared is like a new one, also for what was begun before."""

from collections.abc import Callable

from fakes.snapshots import samples

from clusterdns.cluster.index.cluster import Index
from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Namespace, Pod, Service

WEB = (b"prod", b"web")


def endpoints(*addresses: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint((one,)) for one in addresses)


def is_empty(index: Index) -> bool:
    return not any((
        list(index.services()), list(index.reverse.addresses()), list(index.external.addresses()),
        list(index.pods.addresses()), index.exposes(b"prod"), index.synced, index.stale,
    ))  # fmt: skip


def test_nothing_is_left() -> None:
    index = Index(zonal=True)
    assert is_empty(index)
    for one in samples():
        index.apply(Change(None, one))
    index.synced = True
    index.set_stale(frozenset((Service,)))
    assert index.external.addresses()
    assert not is_empty(index)
    index.clear()
    assert is_empty(index)
    assert index.service(*WEB) is None
    assert not index.reverse.is_ancestor(b"\x0210\x07in-addr\x04arpa\0")


def test_the_same_objects_make_the_same_index_again() -> None:
    index, new = Index(), Index()
    for one in samples():
        index.apply(Change(None, one))
    index.clear()
    for one in samples():
        index.apply(Change(None, one))
        new.apply(Change(None, one))
    assert set(index.reverse.addresses()) == set(new.reverse.addresses())
    assert {(one.namespace, one.name) for one in index.services()} == {
        (one.namespace, one.name) for one in new.services()
    }


def test_timers_of_endpoints_that_were_moving_find_nothing() -> None:
    timers: list[Callable[[], None]] = []
    index = Index(call_later=timers.append)
    index.apply(Change(None, Namespace("prod")))
    index.apply(Change(None, Service("prod", "web", headless=True)))
    before = EndpointSlice("prod", "a", "web", (), endpoints("10.0.0.1", "10.0.0.2"))
    index.apply(Change(None, before))
    index.apply(Change(None, EndpointSlice("prod", "b", "web")))
    index.apply(Change(before, EndpointSlice("prod", "a", "web", (), endpoints("10.0.0.1"))))
    assert len(timers) == 1
    index.clear()
    index.apply(Change(None, EndpointSlice("prod", "c", "web", (), endpoints("10.0.0.2"))))
    timers[0]()
    assert set(index.reverse.addresses()) == {bytes((10, 0, 0, 2))}


def test_pods_are_gone() -> None:
    index = Index()
    index.apply(Change(None, Pod("prod", "db-0", ("10.0.0.1",), labels="app=db")))
    index.clear()
    assert not index.pods.has(b"prod", bytes((10, 0, 0, 1)))
    assert list(index.pods.labels((b"prod", "db-0"))) == []
