"""The observation of replies: what is counted, what is read, and that neither a reply nor a load can disturb it."""

import random
from types import SimpleNamespace

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.host.udp.datagrams import SLOT_BYTES, Datagrams
from clusterdns.server.live.durations import BOUNDS, Durations
from clusterdns.server.live.observation import MAX_READS_PER_SECOND, Observation, question_of
from clusterdns.server.tap import Shed
from clusterdns.wire import codes
from clusterdns.wire.name import from_text


def response(qname: str, rcode: str = "NOERROR", qtype: str = "A") -> bytes:
    reply = dns.message.make_response(dns.message.make_query(qname, qtype, id=7))
    reply.set_rcode(dns.rcode.from_text(rcode))
    return reply.to_wire()


def key(qname: str, qtype: str = "A") -> bytes:
    return from_text(qname) + codes.type_from_text(qtype).to_bytes(2, "big")


def batch_of(messages: list[bytes], client: str = "10.0.0.1") -> Datagrams:
    payload = bytearray(len(messages) * SLOT_BYTES)
    for slot, message in enumerate(messages):
        payload[slot * SLOT_BYTES : slot * SLOT_BYTES + len(message)] = message
    return SimpleNamespace(payload=bytes(payload), client=lambda slot: (client, 53))


def test_a_batch_is_counted_by_names_clients_and_codes() -> None:
    seen = Observation()
    messages = [response("a.test"), response("A.TEST"), response("b.test", "NXDOMAIN"), response("c.test", "SERVFAIL")]
    seen.batch(batch_of(messages, "::ffff:10.0.0.1"), 4, 4, 1, 0.001)
    seen.end_second(2.0)
    assert seen.per_second == 2.0
    assert seen.hit_ratio == 0.25
    assert seen.read_share == 1.0
    assert seen.codes_per_second == {"NOERROR": 1.0, "NXDOMAIN": 0.5, "SERVFAIL": 0.5}
    assert [one.key for one in seen.names.top(1)] == [key("a.test")]
    assert [one.key for one in seen.clients.top(5)] == ["10.0.0.1"]
    assert [one.key for one in seen.nxdomain.top(5)] == [key("b.test")]
    assert [one.key for one in seen.servfail.top(5)] == [key("c.test")]
    assert seen.durations.quantile(0.5) == pytest.approx(0.001, rel=0.2)


def test_slots_without_a_reply_are_not_read() -> None:
    seen = Observation()
    query = dns.message.make_query("waits.test", "A").to_wire()
    seen.batch(batch_of([query, response("a.test")]), 2, 1, 0, 0.001)
    seen.later(response("waits.test"), "10.0.0.2", 0.5)
    seen.end_second(1.0)
    assert seen.per_second == 2.0
    assert {one.key for one in seen.names.top(5)} == {key("a.test"), key("waits.test")}
    assert {one.key for one in seen.clients.top(5)} == {"10.0.0.1", "10.0.0.2"}
    assert seen.durations.quantile(0.99) == pytest.approx(0.5, rel=0.2)


def test_replies_over_a_stream_come_behind_their_length_and_empty_ones_are_none() -> None:
    seen = Observation()
    framed = [len(one).to_bytes(2, "big") + one for one in (response("a.test"), response("b.test"))]
    seen.stream([*framed, b""], "10.0.0.3", 1, 0.001)
    seen.end_second(1.0)
    assert seen.per_second == 2.0
    assert seen.hit_ratio == 0.5
    assert {one.key for one in seen.names.top(5)} == {key("a.test"), key("b.test")}


def test_clients_that_lose_something_to_a_limit_are_counted_by_what() -> None:
    seen = Observation()
    for _ in range(3):
        seen.shed("::ffff:10.0.0.1", Shed.CONNECTION)
    seen.shed("10.0.0.1", Shed.QUERY)
    seen.end_second(1.0)
    assert [one.key for one in seen.shed_clients.top(5)] == [
        ("10.0.0.1", Shed.CONNECTION.value),
        ("10.0.0.1", Shed.QUERY.value),
    ]


def test_under_load_few_replies_are_read_and_rates_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clusterdns.server.live.observation.random", random.Random(7))
    seen = Observation()
    batch = batch_of([response("often.test")] * 48 + [response(f"rare-{n}.test") for n in range(16)])
    for _ in range(3):
        for _ in range(1000):
            seen.batch(batch, 64, 64, 64, 0.001)
        seen.end_second(1.0)
    assert seen.per_second == 64_000.0
    assert seen.read_share * 64_000 == pytest.approx(MAX_READS_PER_SECOND, rel=0.2)
    (top,) = seen.names.top(1)
    assert top.key == key("often.test")
    assert top.per_second == pytest.approx(48_000, rel=0.1)
    assert seen.codes_per_second == {"NOERROR": 64_000.0}


def test_after_a_load_every_reply_is_read_again() -> None:
    seen = Observation()
    for _ in range(1000):
        seen.batch(batch_of([response("a.test")] * 64), 64, 64, 64, 0.001)
    seen.end_second(1.0)
    seen.end_second(1.0)  # a silent second
    for _ in range(3):
        seen.later(response("b.test"), "10.0.0.1", 0.001)
    seen.end_second(1.0)
    assert seen.read_share == 1.0


def test_a_silent_second_has_no_ratios() -> None:
    seen = Observation()
    seen.end_second(1.0)
    assert (seen.per_second, seen.hit_ratio, seen.codes_per_second) == (0.0, None, {})
    assert list(seen.history) == [(0.0, None)]


@pytest.mark.parametrize(
    ("message", "question"),
    [
        (response("a.test"), key("a.test")),
        (response("."), b"\0\0\1"),
        (response("x" * 63 + "." + "y" * 63 + ".test", "NXDOMAIN", "HTTPS"),
         key("x" * 63 + "." + "y" * 63 + ".test", "HTTPS")),
        (b"", None),
        (b"\0\0\x80\0\0\1", None),  # cut in the header
        (b"\0\0\x81\1\0\0\0\0\0\0\0\0", None),  # FORMERR without a question
        (response("a.test")[:15], None),
        (response("a.test")[:20], None),
        (b"\0\0\x80\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", None),  # a pointer in the question
    ],
)  # fmt: skip
def test_the_question_of_a_reply(message: bytes, question: bytes | None) -> None:
    assert question_of(message) == question


@given(st.binary(max_size=300))
def test_no_bytes_disturb_the_observation(message: bytes) -> None:
    seen = Observation()
    seen.later(message.ljust(12, b"\0"), "10.0.0.1", 0.0)
    seen.end_second(1.0)
    assert seen.per_second == 1.0


@given(st.lists(st.floats(0.0, 10.0), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_right_to_a_fifth(durations: list[float], share: float) -> None:
    held = Durations(1)
    for seconds in durations:
        held.add(seconds)
    held.end_second()
    found = held.quantile(share)
    assert found is not None
    assert sum(1 for one in durations if one <= found) >= share * len(durations)
    assert sum(1 for one in durations if one < found / 1.2) < share * len(durations) or found == BOUNDS[0]


def test_percentiles_are_of_the_last_seconds() -> None:
    held = Durations(2)
    for seconds in (1.0, 0.001, 0.001):
        held.add(seconds)
        held.end_second()
    assert held.quantile(1.0) == pytest.approx(0.001, rel=0.2)
    assert Durations(2).quantile(0.5) is None
    assert Durations(2).last_quantile(0.5) is None
