"""The reply of the scripted upstream, composed as the words of the name ask, before its faults.

`words` lists the words. Records are made up from the name, so that every name has some.
"""

import zlib

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from testing.upstream.words import RCODES, Words

TTL_SECONDS = 300
SOA_TTL_SECONDS = 120
SOA_MINIMUM_SECONDS = 60
MANY = 100


def compose(query: dns.message.Message, words: Words, mark: int | None, *, is_udp: bool) -> dns.message.Message:
    """Compose the reply that the words ask for, before its faults; `mark` is in the addresses."""
    reply = dns.message.make_response(query, recursion_available="nora" not in words)
    reply.flags |= query.flags & dns.flags.CD  # RFC 4035 §3.2.2
    if query.edns >= 0 and "formerropt" in words:
        reply.use_edns(False)
        reply.set_rcode(dns.rcode.FORMERR)
        return reply
    if query.edns >= 0 and "badvers" in words:
        reply.set_rcode(dns.rcode.BADVERS)
        return reply
    _set_edns(query, reply, words)
    if "aa" in words:
        reply.flags |= dns.flags.AA
    if "ad" in words:
        reply.flags |= dns.flags.AD
    if "tcalways" in words or ("tc" in words and is_udp):
        reply.flags |= dns.flags.TC
        return reply
    for word, rcode in RCODES.items():
        if word in words:
            reply.set_rcode(rcode)
            return reply
    _fill(reply, words, mark)
    if "tcpart" in words and is_udp:
        reply.flags |= dns.flags.TC
    return reply


def _set_edns(query: dns.message.Message, reply: dns.message.Message, words: Words) -> None:
    if "noopt" in words:
        reply.use_edns(False)
    elif query.edns >= 0 or "opt" in words or "ede" in words:
        options: list[dns.edns.Option] = []
        if "ede" in words:
            options.append(dns.edns.EDEOption(dns.edns.EDECode.make(words.number("ede", 0, bare=22)), "scripted"))
        reply.use_edns(0, query.ednsflags & dns.flags.DO, 1232, options=options)


def _fill(reply: dns.message.Message, words: Words, mark: int | None) -> None:
    question = reply.question[0]
    name, ttl = question.name, words.number("ttl", TTL_SECONDS)
    if "referral" in words:
        _add_servers(reply, _zone(name), ttl)
        return
    for number in range(words.number("cname", 0, bare=1)):
        target = dns.name.from_text(f"hop{number + 1}", _without_hop(name))
        _add(reply.answer, name, ttl, "CNAME", target.to_text())
        name = target
    if "nxdomain" in words:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    texts = [] if {"nxdomain", "nodata"} & set(words.numbers) else _content(question, name, words, mark)
    if not texts:
        if "nosoa" not in words:
            _add_soa(reply, name, words)
        return
    if "foreign" in words:
        _add(reply.answer, dns.name.from_text("bank.example.net."), ttl, "A", "203.0.113.6")
    for number, text in enumerate(texts):
        _add(reply.answer, name, ttl // 2 if number and "mixedttl" in words else ttl, question.rdtype.name, text)
    if "glue" in words:
        _add_servers(reply, _zone(name), ttl)
    if "pad" in words:
        _add(reply.additional, name, ttl, "TXT", f'"{"p" * min(255, words.number("pad", 0, bare=200))}"')


def _content(question: dns.rrset.RRset, name: dns.name.Name, words: Words, mark: int | None) -> list[str]:
    """Make the data of the records from the name; empty for types that no name has."""
    rtype = question.rdtype.name
    count = words.number("many", 2 if "mixedttl" in words else 1, bare=MANY)
    number = zlib.crc32(name.to_text().lower().encode()) % 200 if mark is None else mark
    if rtype == "A" and "only6" not in words:
        return [f"198.51.{100 + place}.{number}" for place in range(count)]
    if rtype == "AAAA" and "only4" not in words:
        return [f"2001:db8::{place:x}:{number:x}" for place in range(count)]
    zone = "" if name == dns.name.root else _zone(name).to_text()
    return {
        "TXT": ['"scripted"', f'"{number}"'],
        "MX": [f"10 mail.{zone}", f"20 mail2.{zone}"],
        "SRV": [f"0 50 8080 host.{zone}"],
        "PTR": [f"host-{number}.example.net."],
        "NS": [f"ns1.{zone}", f"ns2.{zone}"],
        "CAA": ['0 issue "ca.example.net"'],
        "HTTPS": ["1 . alpn=h2"],
        "SOA": [_soa(name, words)],
    }.get(rtype, [])


def _zone(name: dns.name.Name) -> dns.name.Name:
    """Return the zone that a name is in: its last two labels."""
    return name if len(name.labels) <= 3 else dns.name.Name(name.labels[-3:])


def _without_hop(name: dns.name.Name) -> dns.name.Name:
    return dns.name.Name(name.labels[1:]) if name.labels[0].startswith(b"hop") else name


def _soa(name: dns.name.Name, words: Words) -> str:
    zone = "" if name == dns.name.root else _zone(name).to_text()
    return f"ns1.{zone} admin.{zone} 2024010101 7200 3600 86400 {words.number('soamin', SOA_MINIMUM_SECONDS)}"


def _add_soa(reply: dns.message.Message, name: dns.name.Name, words: Words) -> None:
    ttl = words.number("soattl", words.number("ttl", SOA_TTL_SECONDS))
    _add(reply.authority, _zone(name), ttl, "SOA", _soa(name, words))


def _add_servers(reply: dns.message.Message, zone: dns.name.Name, ttl: int) -> None:
    _add(reply.authority, zone, ttl, "NS", dns.name.from_text("ns1", zone).to_text())
    _add(reply.additional, dns.name.from_text("ns1", zone), ttl, "A", "203.0.113.53")


def _add(section: list[dns.rrset.RRset], owner: dns.name.Name, ttl: int, rtype: str, text: str) -> None:
    section.append(dns.rrset.from_text(owner, ttl, dns.rdataclass.IN, rtype, text))
