"""An OPT in each reply to a query with an OPT, and in no other (RFC 6891 §7): every response code, opcode and zone."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import dns.edns
import dns.message
import dns.rcode
import pytest
from msgspec.structs import force_setattr
from plugins.serving import Running

from clusterdns.chain import Query, Reply
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.server.instance import Instance
from clusterdns.telemetry.metrics import Registry

ZONE = """$ORIGIN example.test.
@ 60 IN SOA ns hostmaster 1 7200 1800 86400 60
@ 60 IN NS ns
ns 60 IN A 192.0.2.1
long 60 IN CNAME nowhere.refused.test.
""" + "".join(f"large 60 IN A 192.0.2.{n}\n" for n in range(200))

COREFILE = """
example.test:5353 {
    transfer {
        to *
    }
    acl blocked.example.test {
        block
    }
    acl filtered.example.test {
        filter
    }
    file FOLDER/db.example.test
}
template.test:5353 {
    template IN A ok.template.test {
        answer "{{ .Name }} 60 IN A 192.0.2.9"
    }
    template IN A broken.template.test {
        answer "{{ .Name }} 60 IN A {{ parseInt .Name 10 8 }}"
    }
    template IN A formerr.template.test {
        rcode FORMERR
    }
    template IN A badkey.template.test {
        rcode BADKEY
    }
    template IN A explained.template.test {
        rcode NXDOMAIN
        ederror 15 "not here"
    }
    hosts {
        192.0.2.7 hosts.template.test
    }
}
chaos.test:5353 {
    chaos version author
}
missing.test:5353 {
    file FOLDER/db.missing
}
ends.test:5353 {
    loadbalance
}
"""

# name, type and class → the response code; asked three times each, so that compiled answers are seen as well
QUESTIONS: dict[str, tuple[str, str, str, str]] = {
    "an answer of a zone file": ("ns.example.test.", "A", "IN", "NOERROR"),
    "an answer that is truncated over UDP": ("large.example.test.", "A", "IN", "NOERROR"),
    "NODATA": ("ns.example.test.", "AAAA", "IN", "NOERROR"),
    "NXDOMAIN": ("none.example.test.", "A", "IN", "NXDOMAIN"),
    "a CNAME into no zone": ("long.example.test.", "A", "IN", "NOERROR"),
    "blocked": ("blocked.example.test.", "A", "IN", "REFUSED"),
    "filtered": ("filtered.example.test.", "A", "IN", "NOERROR"),
    "a transfer of a part of a zone": ("ns.example.test.", "AXFR", "IN", "REFUSED"),
    "a template": ("ok.template.test.", "A", "IN", "NOERROR"),
    "a template that fails": ("broken.template.test.", "A", "IN", "SERVFAIL"),
    "a template with FORMERR": ("formerr.template.test.", "A", "IN", "FORMERR"),
    "a template with an extended code": ("badkey.template.test.", "A", "IN", "BADKEY"),
    "a template with a reason": ("explained.template.test.", "A", "IN", "NXDOMAIN"),
    "hosts": ("hosts.template.test.", "A", "IN", "NOERROR"),
    "hosts without the name": ("none.template.test.", "A", "IN", "SERVFAIL"),
    "no zone": ("elsewhere.test.", "A", "IN", "REFUSED"),
    "class CH": ("version.bind.chaos.test.", "TXT", "CH", "SERVFAIL"),
    "class CH, answered": ("ends.test.", "TXT", "CH", "SERVFAIL"),
    "a zone whose file is missing": ("missing.test.", "A", "IN", "SERVFAIL"),
    "the end of a chain": ("ends.test.", "A", "IN", "SERVFAIL"),
    "a handler that raises": ("raises.chaos.test.", "A", "IN", "SERVFAIL"),
    "a reply that cannot be encoded": ("unencodable.chaos.test.", "A", "IN", "SERVFAIL"),
    "a handler that waits and raises": ("waits.chaos.test.", "A", "IN", "SERVFAIL"),
}
EDNS = {
    "no OPT": {"use_edns": False},
    "an OPT": {"use_edns": 0},
    "an OPT with DO": {"use_edns": 0, "ednsflags": 0x8000},
    "an OPT with an option": {
        "use_edns": 0,
        "options": [dns.edns.GenericOption(dns.edns.OptionType.PADDING, b"x")],
    },
    "an OPT of 512 bytes": {"use_edns": 0, "payload": 512},
    "version 1": {"use_edns": 1},
    "version 255 with DO": {"use_edns": 255, "ednsflags": 0x8000},
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "db.example.test").write_text(ZONE)
    text = COREFILE.replace("FOLDER", str(tmp_path))
    instance = Instance(assemble(parse(text, "Corefile", {}), Registry(), dns_port=5353), "")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(instance.stop)
        await instance.start()
        misbehave(instance)
        yield Running(instance)


def misbehave(instance: Instance) -> None:
    """Have `chaos.test.` fail in the ways in which a handler can."""
    (route,) = (
        one
        for one in instance.configuration.listen_points[0].routes._by_zone.values()
        if one.zone_text == "chaos.test."
    )
    handler = route.chain.handler
    assert handler is not None

    async def fail(query: Query) -> Reply:
        first = query.name[1 : 1 + query.name[0]]
        if first == b"unencodable":
            return Reply(0, (None,))  # type: ignore[arg-type]
        if first == b"waits":
            await asyncio.sleep(0)
        if first in (b"raises", b"waits"):
            raise RuntimeError("as asked")
        return await handler(query)

    force_setattr(route.chain, "handler", fail)


@pytest.mark.parametrize("case", QUESTIONS)
async def test_a_reply_has_an_opt_where_the_query_has_one(server: Running, case: str) -> None:
    qname, qtype, qclass, rcode = QUESTIONS[case]
    for edns, options in EDNS.items():
        asked = dns.message.make_query(qname, qtype, qclass, **options)  # type: ignore[arg-type]
        expected = "BADVERS" if asked.edns > 0 else rcode
        if expected == "BADKEY" and asked.edns < 0:
            expected = "SERVFAIL"  # its upper bits would be in the OPT
        for transport in ("udp", "tcp") * 3:
            reply = dns.message.from_wire(await server.raw(asked.to_wire(), transport))
            assert (dns.rcode.to_text(reply.rcode()), reply.edns >= 0) == (expected, asked.edns >= 0), edns
            if reply.edns >= 0:
                assert (reply.edns, reply.payload, reply.ednsflags & 0xFFFF) == (0, 1232, asked.ednsflags & 0x8000)


@pytest.mark.parametrize("edns", EDNS)
async def test_an_opcode_that_is_not_implemented(server: Running, edns: str) -> None:
    asked = dns.message.make_query("ns.example.test.", "A", **EDNS[edns])  # type: ignore[arg-type]
    opt = b"\0\0\x29\x04\xd0\0\0" + (b"\x80" if asked.ednsflags & 0x8000 else b"\0") + b"\0\0\0"
    counts, records = ((0, 0, 0, 1), opt) if asked.edns >= 0 else ((0, 0, 0, 0), b"")
    packet = bytearray(asked.to_wire())
    for opcode in range(1, 16):
        packet[2] = packet[2] & 0x87 | opcode << 3
        for transport in ("udp", "tcp"):
            reply = await server.raw(bytes(packet), transport)
            header = struct.unpack(">6H", reply[:12])
            assert header[1:] == (0x8100 | opcode << 11 | dns.rcode.NOTIMP, *counts)
            assert reply[12:] == records


async def test_content_that_only_a_later_version_can_read_is_badvers(server: Running) -> None:
    packet = dns.message.make_query("ns.example.test.", "A", use_edns=1).to_wire()[:-1] + b"\x03\0\x0a\0"
    for transport in ("udp", "tcp"):
        reply = dns.message.from_wire(await server.raw(packet, transport))
        assert (reply.rcode(), reply.edns) == (dns.rcode.BADVERS, 0)


@pytest.mark.parametrize("use_edns", [False, 0])
async def test_every_message_of_a_transfer_has_an_opt(server: Running, use_edns: int | bool) -> None:
    asked = dns.message.make_query("example.test.", "AXFR", use_edns=use_edns)
    first = await server.raw(asked.to_wire(), "tcp")
    messages = [first, *getattr(first, "rest", ())]
    assert sum(len(rrset) for one in messages for rrset in dns.message.from_wire(one, xfr=True).answer) > 200
    for one in messages:
        assert dns.message.from_wire(one, xfr=True).edns == (-1 if use_edns is False else 0)
