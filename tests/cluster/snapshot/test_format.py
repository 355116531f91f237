"""The bytes of a snapshot: whatever is saved is read, and a changed byte is never read as something else."""

import random
from itertools import chain

import msgspec
import pytest
from fakes.snapshots import PORTS, SAMPLES, header, samples, snapshot, states, with_checksum
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.cluster.objects import (
    Endpoint,
    EndpointSlice,
    ImportedSlice,
    Namespace,
    Object,
    Pod,
    Port,
    Service,
    ServiceImport,
)
from clusterdns.cluster.snapshot.contents import CollectionState
from clusterdns.cluster.snapshot.format import MAX_WEIGHT, VERSION, SnapshotError, decode, encode, layout, verify

TEXT = st.text(max_size=12)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PORT = st.builds(Port, TEXT, st.integers(-1, 65535), st.sampled_from(["TCP", "UDP", "SCTP", ""]))
SEVERAL_PORTS = st.lists(PORT, max_size=2).map(tuple)
ENDPOINT = st.builds(Endpoint, TEXTS, TEXT, TEXT, TEXT)
ENDPOINTS = st.lists(ENDPOINT, max_size=3).map(tuple)
SERVICE_FIELDS = (TEXT, TEXT, TEXT, TEXTS, st.booleans(), TEXT, SEVERAL_PORTS, TEXTS)
SLICE_FIELDS = (TEXT, TEXT, TEXT, SEVERAL_PORTS, ENDPOINTS, TEXTS, TEXT, TEXT)
OBJECT: st.SearchStrategy[Object] = st.one_of(
    st.builds(Service, *SERVICE_FIELDS),
    st.builds(ServiceImport, *SERVICE_FIELDS),
    st.builds(EndpointSlice, *SLICE_FIELDS),
    st.builds(ImportedSlice, *SLICE_FIELDS, TEXT),
    st.builds(Namespace, TEXT),
    st.builds(Pod, TEXT, TEXT, TEXTS, st.booleans(), TEXT),
)


def read(content: bytes) -> dict[str, list[Object]]:
    """The objects by the label of their collection. Raises SnapshotError."""
    verify(content)
    found: dict[str, list[Object]] = {}
    for label, group in decode(content):
        found.setdefault(label, []).extend(group)
    return found


def expected(objects: list[Object]) -> dict[str, list[Object]]:
    return {one.label: list(one.objects) for one in states(objects) if one.objects}


def types_of(found: dict[str, list[Object]]) -> list[type]:
    return [type(one) for one in chain(*found.values())]


@given(st.lists(OBJECT, max_size=12))
def test_any_objects_are_read_as_they_were_saved(objects: list[Object]) -> None:
    found = read(snapshot(objects))
    assert found == expected(objects)
    assert types_of(found) == types_of(expected(objects))


def test_the_header_says_what_is_in_it() -> None:
    several = states(samples())
    found = verify(snapshot(samples()))
    assert found == header(several)
    assert [(one.label, one.count) for one in found.collections] == [(one.label, len(one.objects)) for one in several]


@pytest.mark.parametrize("count", [0, 1, MAX_WEIGHT - 1, MAX_WEIGHT, MAX_WEIGHT + 1, 3 * MAX_WEIGHT])
def test_objects_are_split_into_parts_of_bounded_weight(count: int) -> None:
    endpoint = Endpoint(("10.0.0.1",))
    objects: list[Object] = [Namespace(f"n{number}") for number in range(count)]
    objects += [
        EndpointSlice("prod", f"s{number}", "web", (), (endpoint,) * (number % 100)) for number in range(count // 10)
    ]
    content = snapshot(objects)
    assert read(content) == expected(objects)
    for _, group in decode(content):
        weights = [1 + (len(one.endpoints) if isinstance(one, EndpointSlice) else 0) for one in group]
        assert sum(weights[:-1]) < MAX_WEIGHT


def test_a_snapshot_that_was_not_written_to_its_end_is_not_read() -> None:
    content = snapshot(samples())
    for size in range(len(content)):
        with pytest.raises(SnapshotError):
            read(content[:size])


def test_a_changed_bit_is_never_read() -> None:
    content = snapshot(samples())
    for number in range(len(content) * 8):
        changed = bytearray(content)
        changed[number // 8] ^= 1 << number % 8
        with pytest.raises(SnapshotError):
            read(bytes(changed))


@given(st.binary(max_size=200))
def test_any_bytes_are_no_snapshot(content: bytes) -> None:
    with pytest.raises(SnapshotError):
        read(content)


@given(st.randoms(use_true_random=False))
def test_a_file_with_a_right_checksum_and_wrong_contents_is_an_error_or_has_objects(luck: random.Random) -> None:
    content = bytearray(snapshot(samples())[:-16])
    for _ in range(luck.randint(1, 4)):
        at = luck.randrange(content.index(b"\n") + 1, len(content))
        content[at : at + luck.randint(0, 3)] = luck.randbytes(luck.randint(0, 3))
    try:
        found = read(with_checksum(bytes(content)))
    except SnapshotError:
        return
    assert {type(one) for one in chain(*found.values())} <= set(SAMPLES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not a snapshot"),
        (b"\0" * 100, "it is not a snapshot"),
        (b"clusterdns snapshot", "it is not a snapshot"),
        (with_checksum(b"clusterdns snapshot 2\n"), f"it has format 2, and this version reads {VERSION}"),
        (with_checksum(b"clusterdns snapshot 99999\nabc"), "it has format 99999"),
        (b"clusterdns snapshot 1\n", "checksum does not match"),
        (with_checksum(b"clusterdns snapshot 1\n"), "cannot be decoded"),
        (with_checksum(b"clusterdns snapshot 1\n\0\0\0\1\xff"), "cannot be decoded"),
        (with_checksum(b"clusterdns snapshot 1\n\xff\xff\xff\xff" + b"x" * 50), "cannot be decoded"),
        (with_checksum(snapshot(samples())[:-16] + b"\0\0\0\1\x90"), "it has more objects than its header says"),
    ],
)
def test_the_reason_is_said(content: bytes, reason: str) -> None:
    with pytest.raises(SnapshotError, match=reason):
        read(content)


def test_counts_and_kinds_must_be_those_of_the_header() -> None:
    namespaces = CollectionState("namespaces", Namespace, (Namespace("a"), Namespace("b")))
    for count, reason in ((1, "other namespaces than its header says"), (3, "cannot be decoded")):
        wrong = msgspec.structs.replace(header([namespaces]).collections[0], count=count)
        head = msgspec.structs.replace(header([namespaces]), collections=(wrong,))
        with pytest.raises(SnapshotError, match=reason):
            read(with_checksum(b"".join(encode(head, [namespaces]))))
    wrong = msgspec.structs.replace(header([namespaces]).collections[0], kind="Secret")
    head = msgspec.structs.replace(header([namespaces]), collections=(wrong,))
    with pytest.raises(SnapshotError, match="unknown kind Secret"):
        read(with_checksum(b"".join(encode(head, [namespaces]))))


def test_a_kind_that_has_the_fields_of_another_is_not_taken_for_it() -> None:
    objects = [Service("prod", "web", ports=PORTS), ServiceImport("prod", "web", ports=PORTS)]
    assert types_of(read(snapshot(objects))) == [Service, ServiceImport]


def test_zones_and_address_types_are_shared_as_those_from_the_api_server_are() -> None:
    objects = [
        EndpointSlice("p", f"s{n}", "web", (), (Endpoint((f"10.0.0.{n}",), zone="zone-" + "abc"),), (), "IP" + "v4")
        for n in range(9)
    ]
    slices = [one for one in chain(*read(snapshot(objects)).values()) if isinstance(one, EndpointSlice)]
    assert len({id(one.endpoints[0].zone) for one in slices}) == 1
    assert len({id(one.address_type) for one in slices}) == 1


def test_a_field_more_is_another_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    before = layout()
    longer = msgspec.defstruct("Port", [("name", str), ("number", int), ("protocol", str), ("app", str, "")])
    monkeypatch.setattr("clusterdns.cluster.snapshot.format.Port", longer)
    layout.cache_clear()
    changed = layout()
    monkeypatch.undo()
    layout.cache_clear()
    assert before == layout() != changed
