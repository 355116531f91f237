"""The words that may be labels of a name asked of the scripted upstream, and the reply that they make together.

    www.example.org                  an address, TTL 300
    x.nxdomain.ttl-20.example.org    NXDOMAIN, SOA with TTL 20
    y.servfail-1.example.org         SERVFAIL the first time, an address from then on
    z.cname-3.nodata.example.org     three CNAMEs to a name without records of the type

Words match in any case and in any order. The number behind one of `RCODES` and `FAULTS` is how often it applies (`-2`:
to the first two queries for this name and type); behind the others it is what their comment says. `faults` spoils the
reply where a word asks for that.
"""

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

RCODES = {
    "servfail": dns.rcode.SERVFAIL,
    "refused": dns.rcode.REFUSED,
    "formerr": dns.rcode.FORMERR,
    "notimp": dns.rcode.NOTIMP,
    "yxdomain": dns.rcode.YXDOMAIN,
    "notauth": dns.rcode.NOTAUTH,
}
FAULTS = frozenset(
    {
        "nxdomain",
        "nodata",
        "dead",  # no reply; over TCP the connection stays open
        "tc",  # over UDP an empty reply with TC
        "tcpart",  # over UDP some of the records, with TC
        "tcalways",  # over TCP as well
        "formerropt",  # FORMERR without OPT to a query with OPT
        "badvers",  # BADVERS to a query with OPT
        "wrongid",
        "wrongname",
        "wrongtype",
        "wrongclass",
        "noquestion",
        "qr0",  # the query comes back as it is
        "garbage",  # bytes that are not a message
        "runt",  # fewer bytes than a header has
        "cut",  # the message ends amid its last record
        "halfframe",  # over TCP half of the reply, then nothing
        "reset",  # over TCP
        "close",  # over TCP the connection ends in place of a reply
    }
)
NUMBERED = frozenset(
    {
        "slow",  # milliseconds until the reply
        "ttl",  # of every record
        "soattl",  # of the SOA alone
        "soamin",  # the SOA's MINIMUM
        "cname",  # how many CNAMEs lead to the end
        "many",  # how many addresses
        "ede",  # an Extended DNS Error of this code
        "forged",  # how many replies with a wrong ID before the genuine one
        "forgedname",  # how many replies with another name before the genuine one
        "twice",  # how many copies of the genuine one follow it
        "pad",  # octets of TXT in the additional section
    }
)
PLAIN = frozenset(
    {
        "held",  # the reply is not sent before `release`
        "nosoa",  # negative answers without SOA
        "only4",  # NODATA for AAAA
        "only6",  # NODATA for A
        "lower",  # the question comes back in lower case
        "upper",
        "aa",
        "ad",
        "nora",  # RA clear
        "noopt",  # no OPT in the reply
        "opt",  # an OPT even to a query without one
        "glue",  # NS in authority and its address in additional
        "referral",  # nothing but NS and glue
        "mixedttl",  # the second record has half the TTL
    }
)
WORDS = frozenset(RCODES) | FAULTS | NUMBERED | PLAIN

TTL_SECONDS = 300
SOA_TTL_SECONDS = 120
SOA_MINIMUM_SECONDS = 60
MANY = 100


@dataclass(frozen=True)
class Words:
    """The words that apply to one query, with their numbers; -1 where a word has none."""

    numbers: dict[str, int]

    def __contains__(self, word: str) -> bool:
        return word in self.numbers

    def number(self, word: str, default: int, bare: int | None = None) -> int:
        """The number of a word: `bare` where it stands without one, `default` where it is absent."""
        found = self.numbers.get(word)
        if found is None:
            return default
        return found if found >= 0 else (default if bare is None else bare)


def words_of(texts: Iterable[str]) -> Words:
    """The words among labels, or among the words given outright."""
    numbers = {}
    for text in texts:
        word, dash, number = text.lower().partition("-")
        if word in WORDS and (not dash or number.isdigit()):
            numbers[word] = int(number) if dash else -1
    return Words(numbers)


class CountedWords:
    """How often the words with a number have applied, for each name and type."""

    def __init__(self) -> None:
        self._used: Counter[tuple[str, str, str]] = Counter()

    def use(self, words: Words, name_text: str, qtype: str) -> Words:
        """The words that still apply; counts one use of each."""
        numbers = {}
        for word, number in words.numbers.items():
            if number >= 0 and (word in RCODES or word in FAULTS):
                key = (name_text, qtype, word)
                self._used[key] += 1
                if self._used[key] > number:
                    continue
            numbers[word] = number
        return Words(numbers)


def compose(query: dns.message.Message, words: Words, mark: int | None, *, is_udp: bool) -> dns.message.Message:
    """The reply that the words ask for, before its faults; `mark` is in the addresses."""
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
    for number, text in enumerate(texts):
        _add(reply.answer, name, ttl // 2 if number and "mixedttl" in words else ttl, question.rdtype.name, text)
    if "glue" in words:
        _add_servers(reply, _zone(name), ttl)
    if "pad" in words:
        _add(reply.additional, name, ttl, "TXT", f'"{"p" * min(255, words.number("pad", 0, bare=200))}"')


def _content(question: dns.rrset.RRset, name: dns.name.Name, words: Words, mark: int | None) -> list[str]:
    """The data of the records, made from the name; empty for types that no name has."""
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
    """The zone that a name is in: its last two labels."""
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
