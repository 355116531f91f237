"""`hosts` compared with CoreDNS, query by query: the same file and lines in the Corefile, one block per case."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest
from msgspec.structs import replace
from plugins.coredns_blocks import Blocks, serving

from clusterdns.chain import BlockContext, Query, Reply, code_only
from clusterdns.chain.query import read_query
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.hosts import directive as hosts
from clusterdns.wire import codes, encode

ReadDirectives = Callable[[str], Sequence[Directive]]

FILE = (
    r"""# comment
10.0.0.1 a.test A.Test alias.test # more
10.0.0.1 a.test
fd00::1%eth0 a.test
::ffff:10.0.0.9 mapped.test
10.0.0.2 *.wild.test lit.wild.test
fd00::2 other.wild.test
010.0.0.1 bad.test
10.0.0.3	tab.test	outside.example
10.0.0.4 dot.test. x..y.test
10.0.0.5 *
10.0.0.6 under_score.test esc\.aped.test
nonsense here
10.0.0.7
10.0.0.8 cr.test"""
    + "\r\n"
)

INLINE = "10.1.0.1 inline.test a.test\nfd00::11 inline.test\n10.1.0.2 *.wild.test both.wild.test"
NAMES = (
    "a.test", "A.TEST", "alias.test", "mapped.test", "x.wild.test", "x.y.wild.test", "wild.test", "lit.wild.test",
    "other.wild.test", "both.wild.test", "bad.test", "tab.test", "outside.example", "dot.test", "test",
    "single", "under_score.test", "esc\\.aped.test", "cr.test", "inline.test", "absent.test", "*.wild.test", ".",
)  # fmt: skip
REVERSE = (
    "1.0.0.10.in-addr.arpa", "2.0.0.10.in-addr.arpa", "3.0.0.10.in-addr.arpa", "9.0.0.10.in-addr.arpa",
    "1.0.1.10.in-addr.arpa", "77.0.0.10.in-addr.arpa", "0.0.10.in-addr.arpa",
    "1.0.0.0." + "0." * 24 + "0.0.d.f.ip6.arpa", "1.1.0.0." + "0." * 24 + "0.0.d.f.ip6.arpa",
)  # fmt: skip
QUESTIONS = [(name, qtype) for name in NAMES for qtype in ("A", "AAAA", "TXT", "HTTPS")] + [
    (name, qtype) for name in REVERSE for qtype in ("PTR", "A")
]
# the zones after the file's name, and the lines of the block
CASES = [
    ("", ""),
    ("", INLINE),
    ("test", INLINE),
    ("test in-addr.arpa", INLINE),
    ("TEST. 10.0.0.0/24", "ttl 60\nno_reverse\n" + INLINE),
    ("", INLINE + "\nttl 5\nfallthrough"),
    ("", INLINE + "\nfallthrough wild.test 10.0.0.0/24\nreload 0"),
    ("test", INLINE + "\nfallthrough\nfallthrough_unsupported"),
    ("wild.test", INLINE + "\nfallthrough_unsupported\nfallthrough wild.test"),
    ("", "bogus line\n10.0.0.300 b.test\nno_reverse\n" + INLINE),
]


class Peers(NamedTuple):
    """CoreDNS with one block per case, all reading the file `path`; `whoami` answers what falls through."""

    path: Path
    blocks: Blocks

    def ask(self, message: dns.message.Message, number: int) -> dns.message.Message:
        return self.blocks.ask(message, number)


def directive(path: Path, number: int) -> str:
    zones, lines = CASES[number]
    return f"hosts {path} {zones} {{\n{lines}\n}}"


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    folder = tmp_path_factory.mktemp("hosts")
    path = folder / "hosts"
    path.write_text(FILE)
    with serving(folder, [f"{directive(path, number)}\nwhoami" for number in range(len(CASES))]) as blocks:
        yield Peers(path, blocks)


def summary(message: dns.message.Message) -> tuple[str, bool, list[list[str]]]:
    sections = [
        [line.lower() for rrset in section for line in rrset.to_text().splitlines()] for section in message.sections[1:]
    ]
    return dns.rcode.to_text(message.rcode()), bool(message.flags & 0x0400), sections


async def next_plugin(query: Query) -> Reply:
    """Answer REFUSED, to show that the query fell through."""
    reply = code_only(codes.REFUSED)
    reply.reusable = True
    return reply


@pytest.mark.peer("coredns")
@pytest.mark.parametrize("number", range(len(CASES)))
async def test_answers_equal_those_of_coredns(
    peers: Peers, number: int, context: BlockContext, read_directives: ReadDirectives
) -> None:
    context = replace(context, zones_text=(".",))
    part = hosts.build(hosts.parse(read_directives(directive(peers.path, number)), context), context)
    assert part.handling.wrap is not None
    assert part.life.start is not None
    assert part.life.stop is not None
    await part.life.start()
    handler = part.handling.wrap(next_plugin)
    fell_through = 0
    for name, qtype in QUESTIONS:
        message = dns.message.make_query(name, qtype)
        theirs = summary(peers.ask(message, number))
        query = read_query(message.to_wire())
        assert isinstance(query, Query)
        query.transport, query.client, query.server = "udp", ("127.0.0.1", 4711), "127.0.0.1"
        reply = await handler(query)
        if reply.rcode == codes.REFUSED:
            assert any("_udp" in line for line in theirs[2][2]), (name, qtype, theirs)  # whoami
            fell_through += 1
            continue
        ours = summary(dns.message.from_wire(query.id + encode.encode(query, reply).message()))
        assert ours == theirs, (name, qtype)
    assert 0 < fell_through < len(QUESTIONS)
    await part.life.stop()
