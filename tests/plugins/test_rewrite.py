"""`rewrite`: errors in rules, which replies may be compiled, what other plugins see, and names that become invalid."""

from collections.abc import Callable, Sequence

import dns.edns
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.chain import BlockContext, Handler, Handling, Part, Query, Reply, code_only, failure
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.corefile.load import parse
from clusterdns.plugins.rewrite import directive as rewrite
from clusterdns.plugins.rewrite.reply_rules import OwnerNamesChange, RdataNamesChange, TtlRange
from clusterdns.plugins.rewrite.rule import ReplyChange, ReplyDraft, WaitingChange
from clusterdns.plugins.rewrite.settings import RewriteStep
from clusterdns.server.folding import fold
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes, record
from clusterdns.wire.edns import OPTION_HEADER_BYTES, iter_options
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.record import Record
from clusterdns.wire.runs import RecordRun, joined, pieces_of

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
DEPENDENCY = "a dependency"


class Below:
    """The next plugin: answers every query with one address, and records the queries."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.asked: list[Query] = []
        self._reply = reply

    async def __call__(self, query: Query) -> Reply:
        self.asked.append(query)
        if self._reply is not None:
            return self._reply
        answer = record.address(query.name, 30, bytes(4))
        return Reply(codes.NOERROR, (answer,), dependencies=(DEPENDENCY,), reusable=True)


def contents(options: bytes) -> dict[int, bytes]:
    return {code: whole[OPTION_HEADER_BYTES:] for code, whole in iter_options(options)}


@pytest.fixture
def chain(read_directives: ReadDirectives, context: BlockContext) -> Callable[[str, Handler], Handler]:
    """Make the handler of some rules, in front of another handler."""

    def make(text: str, below: Handler) -> Handler:
        part = rewrite.build(rewrite.parse(read_directives(text), context), context)
        assert part.handling.wrap is not None
        return part.handling.wrap(below)

    return make


Chain = Callable[[str, Handler], Handler]


@pytest.mark.parametrize(
    ("rule", "is_reusable"),
    [
        ("name a.test b.test", True),
        ("name regex (.*) x.{1}b.test answer auto", True),
        ("type A AAAA", True),
        ("ttl regex .* 5", True),
        ("cname x.test b.test", True),
        ("name other.test b.test", True),
        ("edns0 local set 0xffee abc", True),
        ("edns0 local set 0xffee {qname}", True),
        ("edns0 local set 0xffee {server_port}", True),
        ("edns0 local set 0xffee {client_ip}", False),
        ("edns0 local set 0xffee {client_port}", False),
        ("edns0 local set 0xffee {kubernetes/namespace}", False),
        ("edns0 subnet set 24 56", False),
        ("name regex .* {kubernetes/namespace}.test metadata", False),
    ],
)
async def test_a_reply_that_depends_on_the_question_alone_may_be_compiled(
    chain: Chain, make_query: MakeQuery, rule: str, is_reusable: bool
) -> None:
    reply = await chain(f"rewrite {rule}", Below())(make_query("a.test"))
    assert reply.reusable is is_reusable
    assert reply.dependencies == (DEPENDENCY,)


async def test_rules_after_one_that_stopped_do_not_prevent_compilation(chain: Chain, make_query: MakeQuery) -> None:
    rules = "rewrite name a.test b.test\nrewrite edns0 subnet set 24 56"
    assert (await chain(rules, Below())(make_query("a.test"))).reusable
    assert not (await chain(rules, Below())(make_query("c.test"))).reusable


async def test_plugins_above_see_the_rewritten_query(chain: Chain, make_query: MakeQuery) -> None:
    query, below = make_query("A.test"), Below()
    reply = await chain("rewrite continue name a.test b.test\nrewrite type A AAAA", below)(query)
    assert query.rewritten_as is below.asked[0]
    assert (to_text(query.rewritten_as.name), query.rewritten_as.qtype) == ("b.test.", codes.AAAA)
    assert (to_text(query.name), query.qtype) == ("a.test.", codes.A)
    assert [to_text(one.name) for one in reply.answer] == ["a.test."]


async def test_a_query_that_no_rule_matches_is_left_alone(chain: Chain, make_query: MakeQuery) -> None:
    query, below = make_query("c.test"), Below()
    await chain("rewrite name a.test b.test", below)(query)
    assert below.asked == [query]
    assert query.rewritten_as is None


@pytest.mark.parametrize(
    "rule",
    [
        "name regex (.*) {1}{1}{1}{1}{1}.test",
        "name a.test a..test",
        "name prefix a. " + "b" * 64,
        "name suffix a.test \\300",
    ],
)
async def test_an_invalid_new_name_is_servfail(chain: Chain, make_query: MakeQuery, rule: str) -> None:
    query, below = make_query("a.test" if "regex" not in rule else "a" * 60 + ".test"), Below()
    reply = await chain(f"rewrite {rule}", below)(query)
    assert (reply.rcode, reply.is_written, reply.reusable) == (codes.SERVFAIL, False, False)
    assert reply.error.startswith("invalid name after rewrite: ")
    assert below.asked == []


async def test_an_answer_that_would_be_too_long_is_servfail(chain: Chain, make_query: MakeQuery) -> None:
    rule = "rewrite name suffix test example answer name (.*) " + "{1}." * 3 + "x answer value (.*) y"
    reply = await chain(rule.replace("(.*)", "(.*)\\."), Below())(make_query("a" * 63 + "." + "b" * 63 + ".test"))
    assert reply.rcode == codes.SERVFAIL
    assert reply.error.startswith("invalid name in a rewritten reply: ")


async def test_a_bare_response_code_is_rewritten_into_a_message(chain: Chain, make_query: MakeQuery) -> None:
    below = Below(failure(codes.SERVFAIL, "lost"))
    reply = await chain("rewrite rcode a.test SERVFAIL NXDOMAIN", below)(make_query("a.test"))
    assert (reply.rcode, reply.is_written, reply.error) == (codes.NXDOMAIN, True, "lost")
    other = await chain("rewrite rcode b.test SERVFAIL NXDOMAIN", below)(make_query("a.test"))
    assert (other.rcode, other.is_written) == (codes.SERVFAIL, False)


async def test_the_next_plugins_reply_object_is_not_changed(chain: Chain, make_query: MakeQuery) -> None:
    theirs = Reply(codes.NOERROR, (record.address(from_text("b.test"), 30, bytes(4)),), reusable=True)
    ours = await chain("rewrite continue name a.test b.test\nrewrite ttl b.test 5", Below(theirs))(make_query("a.test"))
    assert (theirs.answer[0].ttl, to_text(theirs.answer[0].name)) == (30, "b.test.")
    assert (ours.answer[0].ttl, to_text(ours.answer[0].name)) == (5, "a.test.")


async def test_a_dropped_query_stays_dropped(chain: Chain, make_query: MakeQuery) -> None:
    dropped = code_only(codes.REFUSED)
    dropped.is_dropped = True
    assert await chain("rewrite name a.test b.test", Below(dropped))(make_query("a.test")) is dropped


async def test_a_rewritten_class_selects_its_chain(
    read_directives: ReadDirectives, context: BlockContext, make_query: MakeQuery
) -> None:
    part = rewrite.build(rewrite.parse(read_directives("rewrite class CH IN"), context), context)
    internet, other = Below(), Below()
    for_in = Part("for IN", handling=Handling(wrap=lambda following: internet, is_for_in_only=True))
    for_any = Part("for any class", handling=Handling(wrap=lambda following: other))
    handler = fold([part, for_in, for_any]).other_handler
    assert handler is not None
    query = make_query("a.test")
    query.qclass = codes.CH
    await handler(query)
    assert [one.qclass for one in internet.asked] == [codes.IN]
    query.qclass = codes.HS
    await handler(query)
    assert [one.qclass for one in other.asked] == [codes.HS]


@pytest.mark.parametrize(
    ("rule", "has_edns", "sent", "rewritten_as", "in_reply"),
    [
        ("local set 0xffee abc", False, "", {0xFFEE: b"abc"}, {}),
        ("local set 0xffee abc", True, "", {0xFFEE: b"abc"}, {0xFFEE: b"abc"}),
        ("local set 0xffee abc revert", True, "", {0xFFEE: b"abc"}, {}),
        ("local set 0xffee abc revert", True, "ffee00027878", {0xFFEE: b"abc"}, {0xFFEE: b"xx"}),
        ("local replace 0xffee abc", True, "ffee00027878", {0xFFEE: b"abc"}, {0xFFEE: b"abc"}),
        ("local replace 0xffee abc", True, "", {}, {}),
        ("local unset 0xffee", True, "ffee00027878000a000161", {10: b"a"}, {}),
        ("local set 0xffee 0x00FF", True, "", {0xFFEE: b"\0\xff"}, {0xFFEE: b"\0\xff"}),
        ("local set 0xffee {client_ip}", True, "", {0xFFEE: bytes((10, 1, 0, 9))}, {0xFFEE: bytes((10, 1, 0, 9))}),
        ("local set 0xffee {a/b}", True, "", {}, {}),
        ("nsid set", True, "", {3: b""}, {}),
        ("nsid unset", True, "00030000", {}, {}),
        ("subnet set 24 56", True, "", {8: b"\0\1\x18\0\x0a\1\0"}, {}),
        ("subnet set 0 56", True, "", {8: b"\0\1\0\0"}, {}),
        ("subnet append 24 56", True, "0008000400010000", {8: b"\0\1\0\0"}, {}),
        ("subnet unset", True, "0008000400010000", {}, {}),
    ],
)
async def test_edns_options(
    chain: Chain, make_query: MakeQuery, rule: str, has_edns: bool, sent: str, rewritten_as: dict[int, bytes],
    in_reply: dict[int, bytes],
) -> None:  # fmt: skip
    query, below = make_query("a.test", edns_bytes=1232 if has_edns else None), Below()
    query.options = bytes.fromhex(sent)
    reply = await chain(f"rewrite edns0 {rule}", below)(query)
    assert contents(below.asked[0].options) == rewritten_as
    assert contents(reply.options) == in_reply
    assert below.asked[0].has_edns
    assert query.options == bytes.fromhex(sent)
    assert query.has_edns is has_edns


OVER_V4, OVER_V6 = ("10.1.2.3", 40222), ("2001:db8:1:2::9", 40222, 0, 0)


@pytest.mark.parametrize(
    ("rules", "client", "sent", "passed_on"),
    [
        # a client's /0 stays, in its family (0: none)
        ("subnet set 24 56", OVER_V4, ["00010000"], ["00010000"]),
        ("subnet set 24 56", OVER_V4, ["00000000"], ["00000000"]),
        ("subnet set 24 56", OVER_V4, ["00020000"], ["00020000"]),
        ("subnet replace 24 56", OVER_V4, ["00010000"], ["00010000"]),
        ("subnet append 24 56", OVER_V4, ["00010000"], ["00010000"]),
        ("subnet set 24 56 revert", OVER_V4, ["00010000"], ["00010000"]),
        ("subnet set 24 56", OVER_V6, ["00020000"], ["00020000"]),
        ("subnet replace 24 56", OVER_V6, ["00010000"], ["00010000"]),
        # a shorter prefix than the rule's stays as short
        ("subnet set 24 56", OVER_V4, ["000110000a01"], ["000110000a01"]),
        ("subnet set 24 56", OVER_V4, ["000113000a0100"], ["000113000a0100"]),
        ("subnet set 24 56", OVER_V6, ["0002200020010db8"], ["0002200020010db8"]),
        ("subnet set 24 56", OVER_V6, ["00011000c633"], ["000210002001"]),
        # a longer one is cut to the rule's
        ("subnet set 24 56", OVER_V4, ["000120000a010203"], ["000118000a0102"]),
        ("subnet set 0 0", OVER_V4, ["000120000a010203"], ["00010000"]),
        ("subnet set 24 56", OVER_V6, ["0002800020010db8000100020000000000000009"], ["0002380020010db8000100"]),
        # of several options the shortest counts, and one that is cut short does not
        ("subnet set 24 56", OVER_V4, ["000120000a010203", "00010000"], ["00010000", "00010000"]),
        ("subnet set 24 56", OVER_V4, ["0001"], ["000118000a0102"]),
        ("subnet set 24 56", OVER_V4, [], ["000118000a0102"]),
        # what earlier rules made of the client's option does not count
        ("subnet unset|subnet set 24 56", OVER_V4, ["00010000"], ["00010000"]),
        ("subnet set 0 0|subnet set 24 56", OVER_V4, [], ["000118000a0102"]),
    ],
)  # fmt: skip
async def test_a_clients_subnet_is_never_made_longer(
    chain: Chain, make_query: MakeQuery, rules: str, client: tuple[object, ...], sent: list[str], passed_on: list[str]
) -> None:
    options = [dns.edns.GenericOption(dns.edns.OptionType.ECS, bytes.fromhex(one)) for one in sent]
    query, below = make_query("a.test", client=client, options=options), Below()
    await chain("\n".join(f"rewrite continue edns0 {rule}" for rule in rules.split("|")), below)(query)
    found = [whole[OPTION_HEADER_BYTES:].hex() for _, whole in iter_options(below.asked[0].options)]
    assert found == passed_on


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("rewrite", 2, "'rewrite' has no rule"),
        ("rewrite stop", 2, "'rewrite' has no rule"),
        ("rewrite stop {\n}", 2, "'rewrite' has no rule"),
        ("rewrite nam a b", 2, "rewrite cannot change 'nam'; did you mean 'name'?"),
        ("rewrite answer auto x", 2, "'answer' belongs to a name rule"),
        ("rewrite name a", 2, "Wrong argument count"),
        ("rewrite name a b c", 2, "'a' is not a kind of match for a name"),
        ("rewrite name exact a b c", 2, "unexpected 'c'"),
        ("rewrite name exact a b answer", 2, "the kind of answer is missing"),
        ("rewrite name exact a b answer nam", 2, "'nam' is not one of"),
        ("rewrite name exact a b answer name x", 2, "answer name takes FROM and TO"),
        ("rewrite name suffix a b answer auto answer name x y", 2, "'answer auto' and 'answer name' exclude"),
        ("rewrite name regex ( b", 2, "pattern '(' is not a regular expression"),
        ("rewrite name regex (a) {1}{2}", 2, "'{1}{2}' uses {1}, {2}, but '(a)' has 1 groups"),
        ("rewrite name regex a {1} answer auto", 2, "'{1}' uses {1}, but 'a' has no groups"),
        ("rewrite name exact a b answer value a {1}", 2, "'{1}' uses {1}, but 'a' has no groups"),
        ("rewrite name exact a b metadata", 2, "'metadata' needs a regular expression"),
        ("rewrite name regex a {b} metadata", 2, "'b' is not a metadata label"),
        ("rewrite name regex a {1} metadata", 2, "'{1}' uses {1}, but the pattern has no groups"),
        ("rewrite name regex a {1 metadata", 2, "'{1' has '{' without '}'"),
        ("rewrite type A", 2, "Wrong argument count"),
        ("rewrite type A B", 2, "'B' is not a type"),
        ("rewrite class IN XX", 2, "'XX' is not a class"),
        ("rewrite ttl a x", 2, "'x' is not a TTL in seconds"),
        ("rewrite ttl a -", 2, "'-' is not a range of TTLs"),
        ("rewrite ttl a 9-3", 2, "'9-3' is not a range of TTLs"),
        ("rewrite ttl a 4294967296", 2, "'4294967296' is not a TTL in seconds"),
        ("rewrite ttl near a 3", 2, "'near' is not a kind of match for a name"),
        ("rewrite rcode a NXDOMAIN 24", 2, "'24' is not a response code"),
        ("rewrite rcode a NXDOMAIN GONE", 2, "'GONE' is not a response code"),
        ("rewrite cname a", 2, "Wrong argument count"),
        ("rewrite cname regex ( b", 2, "pattern '(' is not a regular expression"),
        ("rewrite edns0 local", 2, "Wrong argument count"),
        ("rewrite edns0 local put 1 2", 2, "'put' is not one of set"),
        ("rewrite edns0 cookie set", 2, "'cookie' is not one of local"),
        ("rewrite edns0 local set 0xffee", 2, "Wrong argument count; write edns0 local set CODE DATA"),
        ("rewrite edns0 local set 65536 a", 2, "'65536' is not an EDNS option code"),
        ("rewrite edns0 local set 1 0x1", 2, "'0x1' is not hexadecimal"),
        ("rewrite edns0 local set 1 {client}", 2, "unknown variable '{client}'"),
        ("rewrite edns0 local unset 1 2", 2, "Wrong argument count"),
        ("rewrite edns0 subnet set 33 56", 2, "'33' is out of range"),
        ("rewrite {\nname regex\n( b\n}", 4, "pattern '(' is not a regular expression"),
        ("rewrite name a b {\nanswer auto\n}", 3, "this 'rewrite' has a rule on its line and in braces"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, line: int, problem: str) -> None:
    with pytest.raises(CorefileErrors) as error:
        rewrite.parse(read_directives(text), context)
    assert str(error.value).startswith(f"Corefile:{line}: {problem}")


LARGE_NAME, LARGE_TARGET = from_text("db.example"), from_text("real.example")
LARGE = (
    RecordRun(LARGE_NAME, codes.A, 30, [number.to_bytes(4, "big") for number in range(100)]),
    RecordRun(LARGE_NAME, codes.PTR, 30, [b"\3%03d" % number for number in range(100)], LARGE_TARGET),
    joined(
        (record.cname(LARGE_NAME, 30, LARGE_TARGET),),
        RecordRun(LARGE_TARGET, codes.A, 9, [number.to_bytes(4, "big") for number in range(100)]),
    ),
)


@pytest.mark.parametrize("records", LARGE, ids=["addresses", "names", "addresses of a CNAME's target"])
@pytest.mark.parametrize(
    "change",
    [
        TtlRange(10, 20),
        OwnerNamesChange(lambda text: text.replace("db.", "web.")),
        RdataNamesChange(lambda text: text.replace("real.", "other.")),
    ],
)
async def test_a_run_is_changed_as_its_records_are(
    make_query: MakeQuery, records: Sequence[Record], change: ReplyChange | WaitingChange
) -> None:
    large, small = (ReplyDraft(Reply(codes.NOERROR, one, (), one)) for one in (records, tuple(records)))
    for draft in (large, small):
        if isinstance(change, WaitingChange):
            await change.follow(draft, make_query("db.example", transport="tcp"))
        else:
            change.change(draft)
    for section in ("answer", "additional"):
        assert list(getattr(large.finished(), section)) == list(getattr(small.finished(), section))
    assert isinstance(pieces_of(large.finished().answer)[-1 if records is LARGE[2] else 0], RecordRun)


@pytest.mark.parametrize(("transport", "count"), [("udp", 47), ("tcp", 5958)])
async def test_no_more_names_are_changed_than_a_message_holds(
    make_query: MakeQuery, transport: str, count: int
) -> None:
    changed: list[str] = []

    def change(text: str) -> str:
        changed.append(text)
        return text.replace("real", "other")

    names = RecordRun(LARGE_NAME, codes.PTR, 30, [b"\5%05d" % number for number in range(10_000)], LARGE_TARGET)
    draft = ReplyDraft(Reply(codes.NOERROR, names))
    await RdataNamesChange(change).follow(draft, make_query("db.example", "PTR", transport=transport))
    assert len(changed) == len(draft.finished().answer) == count
    assert draft.finished().answer[-1].rdata.endswith(from_text("other.example"))


def test_all_mistakes_are_reported_together(read_directives: ReadDirectives, context: BlockContext) -> None:
    with pytest.raises(CorefileErrors) as error:
        rewrite.parse(read_directives("rewrite type A B\nrewrite name a b\nrewrite name regex ( b"), context)
    assert [one.line for one in error.value.errors] == [2, 4]


WORDS = st.sampled_from((
    "stop", "continue", "name", "type", "class", "ttl", "rcode", "cname", "edns0", "exact", "prefix", "suffix",
    "substring", "regex", "answer", "auto", "value", "a.test", "(.*)\\.test", "{1}.b", "{2}", "(", ".", "..", "A",
    "AAAA", "IN", "CH", "5", "-5", "5-", "9-3", "NXDOMAIN", "local", "nsid", "subnet", "set", "replace", "append",
    "unset", "0xffee", "0x00", "{qname}", "{a/b}", "metadata", "revert", "24", "\\", "*",
))  # fmt: skip


@given(st.lists(WORDS | st.text("abc.\\{}()[]*0x-", min_size=1, max_size=12), max_size=9), st.booleans())
def test_any_words_are_rules_or_an_error(words: list[str], in_braces: bool) -> None:
    quoted = " ".join('"' + word.replace('"', "") + ' "' if word in "{}" else word for word in words)
    text = f"rewrite {{\n{quoted}\n}}" if in_braces else f"rewrite {quoted}"
    wrong: tuple[CorefileError, ...] = ()
    steps: tuple[RewriteStep, ...] = ()
    try:
        directives = parse(f". {{\n{text}\n}}\n", "Corefile", {}).blocks[0].directives
        context = BlockContext((".",), "dns://:53", Registry(), None)  # type: ignore[arg-type]  # rules share nothing
        steps = rewrite.parse([one for one in directives if one.name == "rewrite"], context).steps
    except CorefileErrors as errors:
        wrong = errors.errors
    assert bool(wrong) is not bool(steps)
    assert all(one.line and one.hint for one in wrong)
