"""`rewrite` compared with CoreDNS: the same rules, the same zone and the same queries.

One CoreDNS process has a server block for each rule, each on an address of its own, and one block without rules, which
answers the queries that our rules pass on. The test fails on a difference that has no name.
"""

from collections.abc import Callable, Iterator, Sequence

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from msgspec.structs import replace
from plugins.coredns_blocks import Blocks, address, serving

from clusterdns.chain import BlockContext, Handler, Query, Reply
from clusterdns.chain.query import read_query
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.rewrite import directive as rewrite
from clusterdns.wire import decode, encode
from clusterdns.wire.header import AA
from clusterdns.wire.name import to_text

ZONE = """$TTL 300
$ORIGIN test.
@ IN SOA ns hostmaster 1 7200 900 1209600 30
@ IN NS ns
ns IN A 10.0.0.53
a IN A 10.0.0.1
a IN AAAA fd00::1
a IN TXT "of a"
b 60 IN A 10.0.0.2
sub.a IN A 10.0.0.11
foobar IN A 10.0.0.12
foo IN A 10.0.0.13
www IN CNAME a
chain IN CNAME www
lost IN CNAME nowhere
mail IN MX 10 a
mail IN MX 20 sub.a
_dns._tcp.s IN SRV 0 0 53 a
p IN PTR a
n IN NAPTR 10 10 "u" "x" "" a
web.default.svc.cluster IN A 10.0.1.1
api.default.svc.cluster IN A 10.0.1.2
link.default.svc.cluster IN CNAME web.default.svc.cluster
"""

A, CNAME = ("a.test", "A"), ("www.test", "A")
OLD, MIXED, OTHER = ("old.test", "A"), ("OlD.TesT", "A"), ("b.test", "A")
ABSENT = ("absent.test", "A")
USUAL = (OLD, MIXED, ("old.test", "AAAA"), ("old.test", "MX"), ("sub.old.test", "A"), OTHER, ABSENT)
SVC = (
    ("web.shop", "A"), ("WEB.shop", "A"), ("link.shop", "A"), ("none.shop", "A"), ("web.shop", "AAAA"), ("shop", "A"),
)  # fmt: skip
EDNS = (("a.test", "A"), ("b.test", "TXT"))

# each rule with the queries to compare
CASES: list[tuple[str, tuple[tuple[str, str], ...]]] = [
    ("name old.test a.test", USUAL),
    ("stop name old.test a.test", USUAL),
    ("continue name old.test a.test", USUAL),
    ("STOP NAME EXACT Old.Test A.test.", USUAL),
    ("name exact old.test www.test", USUAL),
    ("name exact old.test chain.test", USUAL),
    ("name exact old.test mail.test", USUAL),
    ("name exact old.test p.test", (("old.test", "PTR"), OLD)),
    ("name exact old.test n.test", (("old.test", "NAPTR"), OLD)),
    ("name exact old.test lost.test", USUAL),
    ("name exact old.test nothing.test", USUAL),
    ("name exact old.test outside.example", USUAL),
    ("name exact old.test a..test", USUAL),
    ("name exact old.test a.test answer auto", USUAL),
    ("name exact old.test www.test answer value a\\.test z.test", USUAL),
    ("name exact old.test www.test answer name a\\.test z.test", USUAL),
    ("name exact old.test www.test answer name (.*)\\.test {1}.zone answer value (.*)\\.test {1}.space", USUAL),
    ("name prefix old. a.", USUAL),
    ("name prefix old a", USUAL),
    ("name prefix old a answer auto", USUAL),
    ("name prefix sub.old.test b.test answer auto", USUAL),
    ("name prefix o a", USUAL),
    ("name suffix old.test a.test", USUAL),
    ("name suffix .old.test .a.test answer auto", USUAL),
    ("name suffix ld.test oo.test", (("fld.test", "A"), OLD, OTHER)),
    ("name suffix .shop .default.svc.cluster.test answer auto", SVC),
    ("name suffix .shop .default.svc.cluster.test", SVC),
    ("name suffix shop default.svc.cluster.test answer auto", SVC),
    ("name suffix .shop .default.svc.cluster.test answer value (.*)\\.svc\\.cluster\\.test {1}.inner", SVC),
    ("name suffix .test .", (OLD, A)),
    ("name suffix test. x", (OLD, A)),
    ("name suffix .shop default.svc.cluster.test", SVC),
    ("name substring old foo", USUAL),
    ("name substring old.test a.test", USUAL),
    ("name substring old.test a.test answer auto", USUAL),
    ("name substring . x.", (OLD, A)),
    ("name regex old a", USUAL),
    ("name regex ^old\\.test\\.$ a.test", USUAL),
    ("name regex (.*)\\.old\\.test {1}.a.test answer auto", USUAL),
    ("name regex (.*)old(.*) {1}a{2}", (OLD, ("sub.old.test", "A"))),
    ("name regex (.*)\\.old\\.test\\. {1}.a.test", USUAL),
    ("name regex (o)(l)(d).* {3}{2}{1}.test", USUAL),
    ("name regex (.*)\\.shop {1}.default.svc.cluster.test answer name (.*)\\.default\\.svc.* {1}.shop", SVC),
    ("name regex (.*)\\.shop {1}.default.svc.cluster.test answer auto", SVC),
    ("name regex (.*)\\.shop {1}.default.svc.cluster.test answer auto answer value (.*)\\.svc.* {1}.x", SVC),
    ("name regex (.*)\\.shop {1}.default.svc.cluster.test answer name (.*)\\.def.* {1}.shop value web.* v.shop", SVC),
    ("name regex (?:www\\.)?(.*)\\.shop\\. {1}.default.svc.cluster.test", SVC),
    ("name regex (?P<host>.*)\\.shop {1}.default.svc.cluster.test", SVC),
    ("name regex (x)?(old)\\.test {1}{2}.a.test", USUAL),
    ("name regex .*(old).* {0}a.test", (OLD, ("sub.old.test", "A"))),
    ("name regex (.*) {1}{1}{1}{1}{1}{1}.test", (("a" * 60 + ".old.test", "A"), OLD)),
    ("name regex .* .", (OLD, A)),
    ("name regex \\.TEST a.test", (OLD, A)),
    ("name exact _x._tcp.old.test _dns._tcp.s.test", (("_x._tcp.old.test", "SRV"), ("_X._tcp.old.test", "SRV"))),
    ("type A AAAA", (A, OTHER, CNAME, ("a.test", "TXT"))),
    ("type aaaa txt", (("a.test", "AAAA"), A)),
    ("type ANY A", (("a.test", "ANY"), ("b.test", "ANY"))),
    ("ttl a.test 10", (A, OTHER, CNAME)),
    ("ttl exact www.test 5", (A, CNAME)),
    ("ttl suffix .test 60-120", (A, OTHER, CNAME, ABSENT)),
    ("ttl prefix b -20", (A, OTHER)),
    ("ttl prefix b. -20", (OTHER,)),
    ("ttl substring test 400-", (A, OTHER, ABSENT)),
    ("ttl regex ^(a|b)\\. 1", (A, OTHER, CNAME)),
    ("ttl suffix . 4294967295", (A,)),
    ("rcode absent.test NXDOMAIN NOERROR", (ABSENT, OLD, A)),
    ("rcode suffix .test NXDOMAIN SERVFAIL", (ABSENT, A)),
    ("rcode regex .* servfail nxdomain", (("x.example", "A"), ABSENT)),
    ("rcode substring test 3 5", (ABSENT, A)),
    ("rcode prefix absent. NOERROR REFUSED", (ABSENT, A)),
    ("cname a.test b.test", (CNAME, ("chain.test", "A"), ("www.test", "CNAME"), A)),
    ("cname exact a.test. nowhere.test.", (CNAME, ("www.test", "AAAA"))),
    ("cname suffix here.test .b.test", (("lost.test", "A"), CNAME)),
    ("cname suffix nowhere.test. a.test.", (("lost.test", "A"), ("lost.test", "MX"))),
    ("cname prefix now foo. ", (("lost.test", "A"), CNAME)),
    ("cname substring nowhere foo", (("lost.test", "A"),)),
    ("cname regex ^(w)ww\\.(.*) a.{2}", (("chain.test", "A"), CNAME)),
    ("edns0 local set 0xffee abc", EDNS),
    ("edns0 local set 0xffee 0x00ff10", EDNS),
    ("edns0 local append 65518 abc", EDNS),
    ("edns0 local replace 0xffee abc", EDNS),
    ("edns0 local set 0xffee {qname}", (("A.test", "A"),)),
    ("edns0 local set 0xffee {qtype}", EDNS),
    ("edns0 local set 0xffee {protocol}", EDNS),
    ("edns0 local set 0xffee {client_ip}", EDNS),
    ("edns0 local set 0xffee {server_ip}", EDNS),
    ("edns0 local set 0xffee {server_port}", EDNS),
    ("edns0 local set 0xffee {kubernetes/namespace}", EDNS),
    ("edns0 local set 0xffee abc revert", EDNS),
    ("edns0 local unset 0xffee", EDNS),
    ("edns0 subnet set 24 56", EDNS),
    ("continue name old.test b.test\nrewrite name b.test a.test", USUAL),
    ("name old.test b.test\nrewrite name b.test a.test", USUAL),
    ("continue name suffix .shop .k answer auto\nrewrite name suffix .k .default.svc.cluster.test answer auto", SVC),
    ("continue ttl regex .* 7\nrewrite continue name old.test a.test\nrewrite type A TXT", USUAL),
    ("{\n name regex (.*)\\.shop {1}.default.svc.cluster.test\n answer name (.*)\\.default.* {1}.shop\n}", SVC),
    ("stop {\n name suffix .shop .default.svc.cluster.test\n answer auto\n}", SVC),
    ("continue {\n ttl\n exact a.test\n 9\n}\nrewrite ttl a.test 10", (A,)),
]

# rule and query → the name of the difference
NAMED = {
    ("cname exact a.test. nowhere.test.", "www.test A"): "rewritten-cname-code",
    ("cname exact a.test. nowhere.test.", "www.test AAAA"): "rewritten-cname-code",
    ("cname suffix nowhere.test. a.test.", "lost.test A"): "rewritten-cname-code",
    ("cname suffix nowhere.test. a.test.", "lost.test MX"): "rewritten-cname-code",
    ("cname substring nowhere foo", "lost.test A"): "rewritten-cname-code",
}


PLAIN = 0  # the block without rules; the block of a case has the number of the case plus one


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blocks]:
    folder = tmp_path_factory.mktemp("rewrite")
    (folder / "db.test").write_text(ZONE)
    rules = ["", *(f"rewrite {rule}" for rule, _ in CASES)]
    with serving(folder, [f"{rule}\nfile {folder}/db.test test" for rule in rules]) as blocks:
        yield blocks


def zone_handler(peers: Blocks) -> Handler:
    """Make the next handler of our rules, which asks CoreDNS's block without rules."""

    async def ask(query: Query) -> Reply:
        message = dns.message.make_query(to_text(query.name), dns.rdatatype.RdataType(query.qtype))
        response = decode.decode(peers.ask(message, PLAIN).to_wire())
        return Reply(
            response.rcode,
            response.answer,
            response.authority,
            response.additional,
            is_authoritative=bool(response.flags & AA),
        )

    return ask


Compared = tuple[str, list[list[str]], list[str]]


def compared(message: dns.message.Message) -> Compared:
    """Return the parts that must be the same: response code, sections and EDNS options."""
    sections = [
        sorted(line.lower() for rrset in section for line in rrset.to_text().splitlines())
        for section in message.sections[1:]
    ]
    return dns.rcode.to_text(message.rcode()), sections, [option.to_wire().hex() for option in message.options]


def question(name: str, qtype: str, *, with_edns: bool) -> dns.message.Message:
    return dns.message.make_query(name, qtype, use_edns=0 if with_edns else False, payload=1232, flags=0)


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("number", range(len(CASES)), ids=[rule for rule, _ in CASES])
async def test_same_reply_as_coredns(
    peers: Blocks, number: int, context: BlockContext, read_directives: Callable[[str], Sequence[Directive]]
) -> None:
    rule, questions = CASES[number]
    context = replace(context, port=peers.port)
    settings = rewrite.parse(read_directives(f"rewrite {rule}"), context)
    wrap = rewrite.build(settings, context).handling.wrap
    assert wrap is not None
    handler = wrap(zone_handler(peers))

    async def lookup(query: Query, name: bytes, qtype: int) -> Reply:
        asked = query.asking(name, qtype, query.qclass)
        asked.depth += 1
        return await handler(asked)

    for name, qtype in questions:
        message = question(name, qtype, with_edns=rule.startswith("edns0"))
        theirs = peers.ask(message, number + 1)
        query = read_query(message.to_wire())
        assert isinstance(query, Query)
        query.transport, query.client, query.lookup = "udp", ("127.0.0.1", 4711), lookup
        query.server = address(number + 1)
        reply = await handler(query)
        ours = dns.message.from_wire(query.id + encode.encode(query, reply).message())
        assert ours.question == theirs.question
        if compared(ours) == compared(theirs):
            assert (rule, f"{name} {qtype}") not in NAMED, "no longer different: remove it from NAMED"
        else:
            assert (rule, f"{name} {qtype}") in NAMED, (
                f"{name} {qtype}:\nours   {compared(ours)}\ntheirs {compared(theirs)}"
            )
