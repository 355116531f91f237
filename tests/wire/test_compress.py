"""Full name compression: used where a message would not fit, in the types that allow it, with bounded pointers."""

from itertools import pairwise

import dns.flags
import dns.message
import pytest
from wire.messages import QNAME, make_query, shape, shapes

from clusterdns.answers.compiled import compile_answer
from clusterdns.chain import Reply
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire import codes, encode, name, record
from clusterdns.wire.decode import decode
from clusterdns.wire.header import TC

OUTCOME = QueryCounters(Registry(), "dns://:53").counter(
    QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 57, 106)
)


def test_names_in_rdata_are_compressed_where_it_is_needed_and_allowed_only() -> None:
    zone = name.from_text("a-rather-long-zone-name.cluster.local")
    hosts = [name.from_text("host-" + str(n) + ".a-rather-long-zone-name.cluster.local") for n in range(8)]
    query = make_query("x.other.", transport="udp")
    servers = [record.ns(zone, 5, host) for host in hosts]
    message = query.id + encode.encode(query, Reply(0, servers[:2])).message()
    assert message.count(hosts[0]) == message.count(hosts[1]) == 1  # there is space
    message = query.id + encode.encode(query, Reply(0, servers, (), [record.address(hosts[0], 5, bytes(4))])).message()
    assert message.count(zone) == 1
    assert message.count(b"\6host-0") == 1
    assert not decode(message).flags & TC
    for rtype, fixed in ((codes.SRV, bytes(6)), (codes.DNAME, b""), (codes.NAPTR, bytes(7)), (codes.KX, bytes(2))):
        others = [record.record(zone, rtype, 5, fixed + host) for host in hosts]
        message = query.id + encode.encode(query, Reply(0, others)).message()
        assert decode(message).flags & TC
        assert message.count(zone) == len(decode(message).answer) + 1  # an owner, and each target whole (RFC 3597 §4)


def test_no_pointer_has_an_offset_beyond_14_bits() -> None:
    query = make_query(transport="tcp")
    hosts = [name.from_text(f"h{n}.{n % 4000}.elsewhere.test") for n in range(4000)]
    reply = Reply(0, [record.ns(host, 5, host) for host in hosts])
    message = query.id + encode.encode(query, reply).message()
    found = decode(message)
    assert len(message) > 0x8000
    assert found.answer == tuple(reply.answer)[: len(found.answer)]
    assert bool(found.flags & TC) == (len(found.answer) < len(hosts))


def test_chains_of_pointers_are_bounded() -> None:
    query = make_query("example.", transport="udp", use_edns=0, payload=512)
    chain = [name.from_labels(*[b"x"] * count, b"y" * 12, b"example") for count in range(26)]
    cnames = [record.cname(one, 5, longer) for one, longer in pairwise(chain)]
    message = query.id + encode.encode(query, Reply(0, cnames)).message()
    assert len(dns.message.from_wire(message, ignore_trailing=False).answer) == len(decode(message).answer) > 10


@pytest.mark.parametrize("payload", [512, 1232])
def test_rotating_addresses_read_back_behind_a_compressed_chain(payload: int) -> None:
    """Each rotation of a fully compressed message reads back: no pointer leads to a rotating record."""
    chain = [name.from_text(f"hop-{n}.a-rather-long-zone-name.cluster.local") for n in range(12)]
    cnames = [record.cname(owner, 5, target) for owner, target in pairwise((QNAME, *chain))]
    addresses = [record.address(chain[-1], 5, bytes((10, 0, 0, n))) for n in range(4)]
    authority, extra = [record.ns(chain[-1], 5, chain[-1])], [record.address(chain[-1], 5, bytes(4))]
    reply = Reply(0, [*cnames, *addresses], authority, extra)
    reply.rotates = True
    query = make_query(transport="udp", use_edns=0, payload=payload)
    answer = compile_answer(encode.encode(query, reply, for_reuse=True), None, OUTCOME, (), False)
    for _ in range(8):
        found = decode(query.id + answer.message())
        assert len(query.id + answer.message()) <= payload
        shown = found.answer[len(cnames) :]
        assert set(shown) <= set(addresses)
        assert found.answer[: len(cnames)] == tuple(cnames)
        assert bool(found.flags & TC) == (len(shown) < 4 or len(found.additional) < 1)
        if not found.flags & TC:
            assert (found.authority, found.additional) == (tuple(authority), tuple(extra))


def test_glue_points_at_srv_targets_where_the_message_would_not_fit_otherwise() -> None:
    targets = [name.from_text(f"10-77-0-{n}.db.prod.svc.cluster.local") for n in range(6)]
    answer = [record.srv(QNAME, 5, 16, 5432, target) for target in targets]
    glue = [record.address(target, 5, bytes((10, 77, 0, n))) for n, target in enumerate(targets)]
    query = make_query(transport="udp")
    message = query.id + encode.encode(query, Reply(0, answer, (), glue)).message()
    reply = dns.message.from_wire(message, one_rr_per_rrset=True)
    assert len(message) <= 512 < sum(len(one.name) + len(one.body) for one in (*answer, *glue)) - 5 * len(QNAME)
    assert not reply.flags & dns.flags.TC
    assert shapes(reply.additional) == [shape(one) for one in glue]
