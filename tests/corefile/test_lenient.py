"""Arguments, lines and zones that CoreDNS ignores: the server starts, and warns of each."""

import pytest

from clusterdns.corefile import lenient
from clusterdns.corefile.errors import CorefileErrors
from clusterdns.corefile.lexer import Token
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry
from clusterdns.wire.name import ROOT, from_text

KUBERNETES = "kubernetes cluster.local {\n endpoint http://127.0.0.9:1\n"


@pytest.mark.parametrize(
    ("text", "logged"),
    [
        ("header x {\n response set ra\n}", "Corefile:2: 'header' takes no argument; 'x' is ignored"),
        ("bufsize 1232 {\n x y\n}", "Corefile:3: 'bufsize' takes no block; 'x' is ignored"),
        ("reload 30s {\n jitter 1s\n}", "Corefile:3: 'reload' takes no block; 'jitter' is ignored"),
        ("cancel {\n x\n}", "Corefile:3: 'cancel' takes no block; 'x' is ignored"),
        ("hosts {\n ttl 60 s\n}", "Corefile:3: 'ttl' takes one argument; 's' is ignored"),
        ("hosts {\n no_reverse on\n}", "Corefile:3: 'no_reverse' takes no argument; 'on' is ignored"),
        ("file /nowhere/db {\n reload 1m 2 3\n}", "Corefile:3: 'reload' takes one argument; '2 3' is ignored"),
        (f"{KUBERNETES} ttl 30 s\n}}", "Corefile:4: 'ttl' takes one argument; 's' is ignored"),
        (f"{KUBERNETES} ignore empty_service x\n}}", "Corefile:4: 'ignore' takes one argument; 'x' is ignored"),
        (f"{KUBERNETES} startup_timeout 1s x\n}}", "Corefile:4: 'startup_timeout' takes one argument; 'x' is ignored"),
        (
            f"{KUBERNETES}}}\nk8s_external a.org {{\n ttl 1 s\n}}",
            "Corefile:6: 'ttl' takes one argument; 's' is ignored",
        ),
        (
            f"{KUBERNETES}}}\nk8s_external a.org {{\n apex a b\n}}",
            "Corefile:6: 'apex' takes one argument; 'b' is ignored",
        ),
    ],
)
def test_ignored_words_and_lines_are_warned_of(text: str, logged: str, caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(f". {{\n{text}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert logged in caplog.text


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
def test_ignored_zones_are_warned_of(text: str, word: str, caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(f". {{\n{text.replace('ZONE', word)}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert "; the zone is ignored" in caplog.text


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
def test_words_that_are_all_ignored_mean_no_zone(words: tuple[str, ...], zones: tuple[bytes, ...]) -> None:
    tokens = [Token(word, "Corefile", 2) for word in words]
    assert lenient.zones(tokens, (ROOT,)) == zones


@pytest.mark.parametrize(
    ("zones", "told"), [(".internal", "no zones to serve; "), ("10.0.0.0/8", "all zones are reverse zones; ")]
)
def test_kubernetes_needs_a_zone(zones: str, told: str) -> None:
    with pytest.raises(CorefileErrors, match=f"^Corefile:2: {told}"):
        assemble(parse(f". {{\nkubernetes {zones}\n}}\n", "Corefile", {}), Registry(), dns_port=53)


def test_a_word_after_log_that_is_not_a_name_is_ignored_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(". {\nlog a..b a.org\n}\n", "Corefile", {}), Registry(), dns_port=53)
    assert "Corefile:2: 'a..b' is not a name: " in caplog.text
