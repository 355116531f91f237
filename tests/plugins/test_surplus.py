"""Words, lines and zones that CoreDNS passes over: the server starts, and tells what it leaves out."""

import pytest

from clusterdns.corefile import surplus
from clusterdns.corefile.errors import CorefileErrors
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import ROOT, from_text

KUBERNETES = "kubernetes cluster.local {\n endpoint http://127.0.0.9:1\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("header x {\n response set ra\n}", "Corefile:2: 'header' does not take 'x', which is left out"),
        ("bufsize 1232 {\n x y\n}", "Corefile:3: 'bufsize' takes no block: 'x' is left out"),
        ("reload 30s {\n jitter 1s\n}", "Corefile:3: 'reload' takes no block: 'jitter' is left out"),
        ("cancel {\n x\n}", "Corefile:3: 'cancel' takes no block: 'x' is left out"),
        ("hosts {\n ttl 60 s\n}", "Corefile:3: 'ttl' does not take 's', which is left out"),
        ("hosts {\n no_reverse on\n}", "Corefile:3: 'no_reverse' does not take 'on', which is left out"),
        ("file /nowhere/db {\n reload 1m 2 3\n}", "Corefile:3: 'reload' does not take '2 3', which is left out"),
        (f"{KUBERNETES} ttl 30 s\n}}", "Corefile:4: 'ttl' does not take 's', which is left out"),
        (f"{KUBERNETES} ignore empty_service x\n}}", "Corefile:4: 'ignore' does not take 'x', which is left out"),
        (f"{KUBERNETES} startup_timeout 1s x\n}}", "Corefile:4: 'startup_timeout' does not take 'x', which is left"),
        (f"{KUBERNETES}}}\nk8s_external a.org {{\n ttl 1 s\n}}", "Corefile:6: 'ttl' does not take 's', which is left"),
        (
            f"{KUBERNETES}}}\nk8s_external a.org {{\n apex a b\n}}",
            "Corefile:6: 'apex' does not take 'b'",
        ),
    ],
)
def test_what_is_left_out_is_told(text: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(f". {{\n{text}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert told in caplog.text


@pytest.mark.parametrize("word", [".internal", "a..b", '""', "{$UNSET}", "10.0.0.0/33", "a.org:99999"])
@pytest.mark.parametrize(
    "text",
    [
        "acl ZONE {\n block\n}",
        "cache 30 ZONE",
        "cache {\n disable success ZONE\n}",
        "file /nowhere/db ZONE",
        "file /nowhere/db a.org {\n fallthrough ZONE\n}",
        "forward . 127.0.0.9 {\n except ZONE\n}",
        "hosts /nowhere/hosts ZONE",
        "hosts {\n fallthrough ZONE\n}",
        "kubernetes cluster.local ZONE {\n endpoint http://127.0.0.9:1\n}",
        f"{KUBERNETES} fallthrough ZONE\n}}",
        f"{KUBERNETES} multicluster ZONE\n}}",
        f"{KUBERNETES}}}\nk8s_external ZONE",
        f"{KUBERNETES} pods verified\n}}\nautopath ZONE @kubernetes",
        "metadata ZONE",
        "template IN A {\n match x\n fallthrough ZONE\n}",
        "transfer ZONE {\n to *\n}",
    ],
)
def test_a_zone_that_is_none_is_left_out_and_told(text: str, word: str, caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(f". {{\n{text.replace('ZONE', word)}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert "; it is left out, so no name is in it" in caplog.text


@pytest.mark.parametrize(
    ("words", "zones"),
    [
        ((), (ROOT,)),
        (("A.org",), (from_text("a.org"),)),
        (("a.org", "", "a.org", ".b"), (from_text("a.org"),)),
        (("",), ()),
        ((".b", "a..b"), ()),
        (("10.1.2.0/24", "::/0"), (from_text("2.1.10.in-addr.arpa"),)),
    ],
)
def test_where_no_zone_is_left_none_is_meant(words: tuple[str, ...], zones: tuple[bytes, ...]) -> None:
    tokens = [Token(word, "Corefile", 2) for word in words]
    assert surplus.zones(tokens, (ROOT,)) == zones


@pytest.mark.parametrize(
    ("zones", "told"), [(".internal", "no zone is left to serve; "), ("10.0.0.0/8", "no zone but reverse ones: ")]
)
def test_kubernetes_needs_a_zone(zones: str, told: str) -> None:
    with pytest.raises(CorefileErrors, match=f"^Corefile:2: {told}"):
        assemble(parse(f". {{\nkubernetes {zones}\n}}\n", "Corefile", {}), Registry(), dns_port=53)


def test_a_name_to_log_that_is_none_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(". {\nlog a..b a.org\n}\n", "Corefile", {}), Registry(), dns_port=53)
    assert "Corefile:2: 'a..b' is not a name: " in caplog.text
