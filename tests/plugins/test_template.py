"""`template`: the replies its templates make, which of them may be compiled, errors and warnings at the start."""

import logging
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from clusterdns.chain import BlockContext, Handler, Query, Reply, code_only, failure
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.corefile.load import parse as read_corefile
from clusterdns.plugins.template import directive as template
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.presentation.text import rdata_text
from clusterdns.wire.record import Record, address, cname

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
MakeHandler = Callable[[str], Handler]


@pytest.fixture
def context(context: BlockContext) -> BlockContext:
    return replace(context, zones_text=("example.org.",))


@pytest.fixture
def make_handler(read_directives: ReadDirectives, context: BlockContext) -> MakeHandler:
    async def following(query: Query) -> Reply:
        return code_only(codes.NOTAUTH)

    def make(text: str) -> Handler:
        part = template.PLUGIN.build(template.parse(read_directives(text), context), context)
        assert part.handling.wrap is not None
        return part.handling.wrap(following)

    return make


def line(one: Record) -> str:
    """Return a record as a line of a zone file."""
    return (
        f"{to_text(one.name)} {one.ttl} {codes.class_text(one.rclass)} {codes.type_text(one.rtype)} {rdata_text(one)}"
    )


def lines(reply: Reply) -> list[str]:
    """Return the response code, then the records, each with an abbreviation of its section."""
    sections = {"": reply.answer, "auth ": reply.authority, "add ": reply.additional}
    records = [mark + line(one) for mark, section in sections.items() for one in section]
    return [codes.rcode_text(reply.rcode), *records]


OPENSHIFT = """template IN A ocp.example.org {
    match .*.apps.ocp.example.org
    answer "{{ .Name }} 60 in {{ .Type }} 192.0.2.50"
    fallthrough
}
template IN AAAA ocp.example.org {
    match .*.apps.ocp.example.org
    fallthrough
}
template IN A ocp.example.org {
    match ^api.ocp.example.org
    answer "{{ .Name }} 60 in {{ .Type }} 192.0.2.51"
    fallthrough
}"""
AKS = """template ANY ANY internal.example.org {
    match "^(?:[^.]+\\.){4,}internal\\.example\\.org\\.$"
    rcode NXDOMAIN
    fallthrough
}
template ANY ANY reddog.example.org {
    rcode NXDOMAIN
}"""
NO_AAAA = """template ANY AAAA {
    rcode NOERROR
    authority "{{ .Zone }} 60 IN SOA ns.{{ .Zone }} admin.{{ .Zone }} (
        1 60 60 ; timers
        60 60 )"
}"""
SECTIONS = """template IN MX {
    authority "{{ .Zone }} 60 NS ns.{{ .Zone }}"
    answer "{{ .Name }} MX 10 mail.{{ .Zone }}" "{{ .Name }} MX 20 mail.{{ .Zone }}"
    additional "mail.{{ .Zone }} 60 IN A 192.0.2.25"
    rcode YXDOMAIN
}"""
EMPTY = 'template IN A {\n answer "{{ if eq .Name `a.example.org.` }}{{ .Name }} A 192.0.2.1{{ end }}" ""\n}'
NEXT = ["NOTAUTH"]


@pytest.mark.parametrize(
    ("text", "name", "qtype", "expected"),
    [
        (OPENSHIFT, "a.apps.ocp.example.org.", "A", ["NOERROR", "a.apps.ocp.example.org. 60 IN A 192.0.2.50"]),
        (OPENSHIFT, "API.ocp.example.org.", "A", ["NOERROR", "api.ocp.example.org. 60 IN A 192.0.2.51"]),
        (OPENSHIFT, "a.apps.ocp.example.org.", "AAAA", ["NOERROR"]),
        (OPENSHIFT, "b.ocp.example.org.", "A", NEXT),
        (OPENSHIFT, "api.ocp.example.org.", "TXT", NEXT),
        (AKS, "a.b.c.d.internal.example.org.", "MX", ["NXDOMAIN"]),
        (AKS, "a.b.c.internal.example.org.", "MX", NEXT),
        (AKS, "reddog.example.org.", "A", ["NXDOMAIN"]),
        (NO_AAAA, "x.example.org.", "AAAA",
         ["NOERROR", "auth example.org. 60 IN SOA ns.example.org. admin.example.org. 1 60 60 60 60"]),
        (NO_AAAA, "x.example.org.", "A", NEXT),
        ("template ANY AAAA", "x.example.org.", "AAAA", ["NOERROR"]),
        ("template IN A .* (?P<x>", "x.example.org.", "A", NEXT),
        (SECTIONS, "a.example.org.", "MX",
         ["YXDOMAIN",
          "a.example.org. 3600 IN MX 10 mail.example.org.", "a.example.org. 3600 IN MX 20 mail.example.org.",
          "auth example.org. 60 IN NS ns.example.org.", "add mail.example.org. 60 IN A 192.0.2.25"]),
        (EMPTY, "a.example.org.", "A", ["NOERROR", "a.example.org. 3600 IN A 192.0.2.1"]),
        (EMPTY, "b.example.org.", "A", ["NOERROR"]),
        ("template IN A {\n match ^a\n}", "b.example.org.", "A", ["SERVFAIL"]),
        ("template IN A {\n match ^a\n fallthrough c.example.org\n}", "b.example.org.", "A", ["SERVFAIL"]),
        ("template IN A {\n match ^a\n fallthrough c.example.org\n}", "c.example.org.", "A", NEXT),
        ("template CH A", "a.example.org.", "A", NEXT),
        ("template IN A {\n upstream\n rcode NOTIMPL\n rcode BADSIG\n rcode REFUSED\n}", "a.example.org.", "ANY",
         ["REFUSED"]),
    ],
)  # fmt: skip
async def test_replies(
    make_handler: MakeHandler, make_query: MakeQuery, text: str, name: str, qtype: str, expected: list[str]
) -> None:
    assert lines(await make_handler(text)(make_query(name, qtype))) == expected


@pytest.mark.parametrize(
    ("text", "is_reusable"),
    [
        ("{{ .Name }} A 192.0.2.1", True),
        ("{{ $x := . }}{{ if 1 }}{{ $x = . }}{{ end }}{{ $x.Name }} A 192.0.2.1", True),
        ("{{ .Name }} A {{ .Remote }}", False),
        ("{{ (or 0 .).Remote }} A 192.0.2.1", False),
        ('{{ .Name }} TXT "{{ .Meta `a/b` }}"', False),
        ("{{ .Name }} TXT {{ .Message.Id }}", False),
        ("{{ .Question.Name }} A 192.0.2.1", False),
        ('{{ .Name }} TXT "{{ . }}"', True),
    ],
)
async def test_a_reply_made_from_the_question_alone_may_be_compiled(
    make_handler: MakeHandler, make_query: MakeQuery, text: str, is_reusable: bool
) -> None:
    handler = make_handler(f"template ANY A {{\n answer {quoted(text)}\n}}")
    replies = [await handler(make_query("a.example.org.", client=(f"10.0.0.{number}", 5))) for number in (1, 2)]
    assert [reply.error for reply in replies] == ["", ""]
    assert [reply.reusable for reply in replies] == [is_reusable, is_reusable]
    assert not is_reusable or lines(replies[0]) == lines(replies[1])


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


async def test_fields_of_the_client_and_its_query(make_handler: MakeHandler, make_query: MakeQuery) -> None:
    text = (
        "x. TXT {{ .Remote }} {{ .Meta `a/b` }} {{ .Message.Id }} {{ .Question.Name }} {{ .Message.CheckingDisabled }}"
        " {{ len .Message.Extra }} {{ (index .Message.Question 0).Qtype }}"
    )
    query = make_query("A.example.org.", client=("::ffff:10.0.0.1", 5, 0, 0), checking_disabled=True, edns_bytes=1232)
    query.labels = {"a/b": "value"}
    reply = await make_handler(f'template ANY A {{\n answer "{text}"\n}}')(query)
    strings = ["10.0.0.1", "value", "4711", "A.example.org.", "true", "1", "1"]
    assert lines(reply)[1] == "x. 3600 IN TXT " + " ".join(f'"{one}"' for one in strings)


@pytest.mark.parametrize(
    ("text", "family", "label", "problem"),
    [
        ("{{  .Name }} A {{ parseInt .Name  10 8 }}", "template", "{{.Name}} A {{parseInt .Name 10 8}}", "parseInt"),
        ("{{ .Grup.d }}", "template", "{{.Grup.d}}", "no field Grup"),
        ("{{ .Name }} A x", "rr", "{{.Name}} A x", "not an address"),
    ],
)
async def test_a_failure_is_counted_and_logged_with_its_place(
    make_handler: MakeHandler, make_query: MakeQuery, context: BlockContext,
    text: str, family: str, label: str, problem: str,
) -> None:  # fmt: skip
    reply = await make_handler(f'template IN A {{\n additional "{text}"\n}}')(make_query("a.example.org."))
    assert (reply.rcode, reply.is_written, reply.reusable) == (codes.SERVFAIL, False, False)
    assert reply.error.startswith("Corefile:3: template: additional: ")
    assert problem in reply.error
    counted = ("dns://:53", "example.org.", "", "IN", "A")
    registry = context.registry
    names = ("server", "zone", "view", "class", "type")
    failed = registry.counter(f"coredns_template_{family}_failures_total", "", *names, "section", "template")
    assert {labels: one.value for labels, one in failed.series.items()} == {(*counted, "additional", label): 1}
    assert registry.counter("coredns_template_matches_total", "", *names).labels(*counted).value == 1


async def test_a_match_is_counted_now_and_for_each_use_of_its_compiled_answer(
    make_handler: MakeHandler, make_query: MakeQuery
) -> None:
    reply = await make_handler("template IN A {\n rcode SERVFAIL\n answer nonsense\n}")(make_query("a.example.org."))
    assert (reply.rcode, reply.is_written, reply.reusable, reply.error) == (codes.SERVFAIL, False, True, "")
    assert [one.value for one in reply.counted] == [1]


async def test_extended_error(make_handler: MakeHandler, make_query: MakeQuery) -> None:
    reply = await make_handler('template IN A {\n rcode NXDOMAIN\n ederror 15 "not here"\n}')(
        make_query("a.example.org.")
    )
    assert reply.options == b"\0\x0f\0\x0a\0\x0fnot here"


TARGET = from_text("target.example.net.")
FOUND = address(TARGET, 5, b"\x0a\0\0\1")
BACK = cname(TARGET, 5, from_text("a.example.org."))


@pytest.mark.parametrize(
    ("qtype", "found", "answers", "is_reusable"),
    [
        ("A", Reply(codes.NOERROR, (FOUND,), dependencies=("net",), reusable=True), 2, True),
        ("AAAA", Reply(codes.NXDOMAIN, (FOUND,), dependencies=("net",)), 2, False),
        (
            "A",
            Reply(codes.NOERROR, (BACK, cname(from_text("a.example.org."), 5, TARGET)), dependencies=("net",)),
            1,
            False,
        ),
        ("A", failure(codes.REFUSED, "no zone", is_unhandled=True), 1, True),
        ("MX", None, 1, True),
    ],
)
async def test_a_cname_is_followed(
    make_handler: MakeHandler, make_query: MakeQuery, qtype: str, found: Reply | None, answers: int, is_reusable: bool
) -> None:
    query = make_query("a.example.org.", qtype)

    async def lookup(query: Query, name: bytes, qtype: int) -> Reply:
        assert (name, qtype, found is None) == (TARGET, query.qtype, False)
        assert found is not None
        return found

    query.lookup = lookup
    reply = await make_handler('template ANY ANY {\n answer "{{ .Name }} CNAME Target.example.net."\n}')(query)
    assert reply.rcode == codes.NOERROR
    assert len(reply.answer) == answers
    assert reply.reusable is is_reusable
    assert reply.dependencies == (("net",)[: found is not None and not found.is_unhandled])


async def test_a_cname_to_itself_is_not_followed(make_handler: MakeHandler, make_query: MakeQuery) -> None:
    handler = make_handler('template ANY A {\n answer "{{ .Name }} CNAME {{ .Name }}"\n}')
    assert lines(await handler(make_query("a.example.org."))) == [
        "NOERROR",
        "a.example.org. 3600 IN CNAME a.example.org.",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("template", "2: Wrong argument count"),
        ("template IN", "2: Wrong argument count"),
        ("template in A", "2: 'in' is not a class; write 'IN'"),
        ("template IN a", "2: 'a' is not a record type; write 'A'"),
        ("template IN TYPE65", "2: 'TYPE65' is not a record type"),
        ("template IN A {\n rcode nxdomain\n}", "3: 'nxdomain' is not a response code; write 'NXDOMAIN'"),
        ("template IN A {\n rcode 3\n}", "3: '3' is not a response code"),
        ("template IN A {\n notavailable\n}", "3: unknown property 'notavailable'"),
        ("template IN A {\n match\n}", "3: Wrong argument count"),
        ("template IN A {\n match (?=x)\n}", "3: pattern '(?=x)'"),
        ("template IN A {\n answer\n}", "3: Wrong argument count"),
        ('template IN A {\n answer "{{"\n}', "3: could not compile template '{{'"),
        ('template IN A {\n answer "a. A\n{{ nothing }}"\n}', "4: could not compile template"),
        ("template IN A {\n ederror\n}", "3: Wrong argument count"),
        ("template IN A {\n ederror +1\n}", "3: '+1' is not the code"),
        ("template IN A {\n ederror 65536\n}", "3: '65536' is out of range"),
        (f"template IN A {{\n ederror 1 {'x' * 2000}\n}}", "3: the text of this extended error is too long"),
        ("template IN A {\n expr true\n}", "3: clusterdns does not implement 'expr'"),
        ("template IN A {\n var a 1\n}", "3: clusterdns does not implement 'var'"),
        ("template X Y {\n rcode Z\n}\ntemplate", "2: 'X' is not a class"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises(CorefileErrors) as errors:
        template.parse(read_directives(text), context)
    assert str(errors.value).startswith(f"Corefile:{problem}")


def test_all_mistakes_are_reported_together(read_directives: ReadDirectives, context: BlockContext) -> None:
    with pytest.raises(CorefileErrors) as errors:
        template.parse(read_directives("template X Y {\n rcode Z\n answer nonsense\n}\ntemplate IN"), context)
    assert [one.line for one in errors.value.errors] == [2, 2, 3, 6]


@pytest.mark.parametrize(
    ("option", "warning"),
    [
        ('answer "a. A 1.2.3"', "is not a record: '1.2.3' is not an address of type A; queries get SERVFAIL"),
        ('answer "{{ parseInt }}"', "parseInt takes 3 arguments, not 0"),
        ('answer "{{ .Name }} A 10.0.0.{{ .Grup.d }}"', "unknown field .Grup"),
        ('answer "{{ .Name }} A 10.0.0.{{ .Group.d }}"', "no regular expression has the group 'd'"),
        ('answer "{{ .Name }} A 10.0.0.{{ index .Match 2 }}"', "no regular expression has 2 groups"),
        ('answer "{{ .Name }} A 10.0.0.{{ .Group.a }}{{ index .Match 1 }}{{ index .Group `1` }}"', None),
    ],
)
def test_templates_that_are_certain_to_fail_are_warned_of(
    make_handler: MakeHandler, caplog: pytest.LogCaptureFixture, option: str, warning: str | None
) -> None:
    with caplog.at_level(logging.WARNING):
        make_handler(f"template IN A {{\n match ^(?P<a>.)\n {option}\n}}")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (warning is not None)
    assert all(one.startswith("Corefile:4: answer '") and (warning or "") in one for one in messages)


WORDS = st.sampled_from(
    ["IN", "ANY", "A", "match", "answer", "rcode", "NXDOMAIN", "ederror", "15", "{{", ".Name", "}}", "fallthrough", "."]
) | st.text("ab.*({})[]\\^$-0é\u200b", min_size=1, max_size=8)
BLOCKS = st.lists(st.lists(WORDS, min_size=1, max_size=4).map(" ".join), max_size=4).map("\n".join)


@given(BLOCKS, st.lists(WORDS, max_size=4).map(" ".join))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_a_template_or_an_error_with_its_place(block: str, arguments: str) -> None:
    context = BlockContext(("example.org.",), "dns://:53", Registry(), None)  # type: ignore[arg-type]  # not read
    text = f". {{\ntemplate {arguments} {{\n{block}\n}}\n}}\n"
    problem = "Corefile:"
    try:
        template.parse(read_corefile(text, "Corefile", {}).blocks[0].named("template"), context)
    except (CorefileError, CorefileErrors) as error:
        problem = str(error)
    assert problem.startswith("Corefile:")
