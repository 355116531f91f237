"""Look-ups in a zone: RFC 1034, 2308, 4035, 4592 and 6672 as tables."""

import pytest
from plugins.example_zones import EXAMPLE, SIGNED

from clusterdns.plugins.file import content
from clusterdns.plugins.file.content import Records
from clusterdns.plugins.file.handler import resolve
from clusterdns.plugins.file.tree import ZoneOutcome, ZoneTree
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.presentation.zonetext import zone_from_text
from clusterdns.wire.runs import RecordRun

ZONE_TYPES = (
    codes.A, codes.AAAA, codes.NS, codes.SOA, codes.MX, codes.PTR, codes.SRV, codes.TXT, codes.CNAME, codes.RRSIG
)  # fmt: skip


def tree(text: str, origin: str) -> ZoneTree:
    zone = from_text(origin)
    return ZoneTree(zone, zone_from_text(text, zone, "/").records)


EXAMPLE_TREE = tree(EXAMPLE, "example.org")
SIGNED_TREE = tree(SIGNED, "a.org")


def summary(zone: ZoneTree, question: str, *, do: bool = False) -> str:
    """Return the outcome, then each section as `owner type`, separated by `|`; the apex as `@`."""
    qname, qtype = question.split()
    suffix = to_text(zone.origin)
    result = resolve(
        zone, from_text(f"{qname}.{suffix}" if qname != "@" else suffix), codes.type_from_text(qtype), do=do
    )
    sections = []
    for section in (result.answer, result.authority, result.additional):
        parts: dict[str, None] = {}
        for one in section:
            owner = to_text(one.name)
            owner = "@" if owner == suffix else owner.removesuffix(f".{suffix}")
            parts[f"{owner} {codes.type_text(one.rtype)}"] = None
        sections.append(", ".join(parts))
    target = f" → {to_text(result.target)}" if result.target else ""
    return f"{result.outcome.value}{target}: " + " | ".join(sections).rstrip(" |")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        # RFC 1034 §4.3.2: data, no data, no name
        ("www A", "answer: www A | @ NS"),
        ("www AAAA", "nodata:  | @ SOA"),
        ("nothere A", "nxdomain:  | @ SOA"),
        ("x.nothere A", "nxdomain:  | @ SOA"),
        ("x.www A", "nxdomain:  | @ SOA"),
        ("@ SOA", "answer: @ SOA | @ NS"),
        ("@ NS", "answer: @ NS |  | ns1 A, ns1 AAAA"),
        ("@ MX", "answer: @ MX | @ NS | mail A, mail AAAA"),
        ("@ DS", "nodata:  | @ SOA"),
        ("www ANY", "answer: www HINFO | @ NS"),  # RFC 8482
        ("alias ANY", "answer: alias CNAME | @ NS"),
        ("sig TYPE65400", "answer: sig TYPE65400 | @ NS"),
        ("*star A", "answer: *star A | @ NS"),
        # additional records (RFC 1035 §3.3.9, RFC 2782, RFC 9460)
        ("_multi._tcp SRV", "answer: _multi._tcp SRV | @ NS | sip A"),
        ("_sip._tcp SRV", "answer: _sip._tcp SRV | @ NS | sip A"),
        ("svcx SVCB", "answer: svcx SVCB | @ NS | sip A"),
        ("svca HTTPS", "answer: svca HTTPS | @ NS | www A"),
        ("svc HTTPS", "answer: svc HTTPS | @ NS"),
        # empty non-terminals (RFC 4592 §2.2.2)
        ("ent A", "empty non-terminal:  | @ SOA"),
        ("_tcp SRV", "empty non-terminal:  | @ SOA"),
        ("x.ent A", "nxdomain:  | @ SOA"),
        # wildcards (RFC 4592)
        ("x.wild A", "answer: x.wild A | @ NS"),
        ("y.x.wild A", "answer: y.x.wild A | @ NS"),
        ("x.wild MX", "answer: x.wild MX | @ NS | mail A, mail AAAA"),
        ("x.wild TXT", "nodata:  | @ SOA"),
        ("*.wild A", "answer: *.wild A | @ NS"),
        ("host.wild A", "nodata:  | @ SOA"),  # an existing name blocks the wildcard
        ("x.host.wild A", "nxdomain:  | @ SOA"),
        ("b.wild A", "empty non-terminal:  | @ SOA"),  # and so does an empty non-terminal
        ("x.b.wild A", "nxdomain:  | @ SOA"),
        ("wild A", "empty non-terminal:  | @ SOA"),
        ("x.cwild A", "answer: x.cwild CNAME, www A | @ NS"),
        ("x.cwild CNAME", "answer: x.cwild CNAME | @ NS"),
        # delegations (RFC 1034 §4.2.1), and DS, the one type of the parent (RFC 4035 §3.1.4.1)
        ("sub A", "referral:  | sub NS | ns.sub A, ns1 A, ns1 AAAA"),
        ("sub NS", "referral:  | sub NS | ns.sub A, ns1 A, ns1 AAAA"),
        ("h.sub A", "referral:  | sub NS | ns.sub A, ns1 A, ns1 AAAA"),
        ("a.b.c.sub A", "referral:  | sub NS | ns.sub A, ns1 A, ns1 AAAA"),
        ("sub DS", "answer: sub DS | @ NS"),
        ("ns.sub DS", "referral:  | sub NS | ns.sub A, ns1 A, ns1 AAAA"),
        ("outsub DS", "nodata:  | @ SOA"),
        ("outsub A", "referral:  | outsub NS"),
        ("left A", "referral:  | left NS | ns.right A"),  # RFC 9471 §3.2: neither zone could be reached without it
        ("right A", "referral:  | right NS | ns.left A"),
        # CNAME
        ("alias CNAME", "answer: alias CNAME | @ NS"),
        ("alias A", "answer: alias CNAME, www A | @ NS"),
        ("alias2 A", "answer: alias2 CNAME, alias CNAME, www A | @ NS"),
        ("alias2 MX", "nodata: alias2 CNAME, alias CNAME | @ SOA"),  # RFC 2308 §2.2
        ("toent A", "empty non-terminal: toent CNAME | @ SOA"),
        ("both TXT", "nodata: both CNAME | @ SOA"),
        ("loop1 A", "answer: loop1 CNAME, loop2 CNAME | @ NS"),
        ("to-self A", "answer: to-self CNAME | @ NS"),
        ("c1 A", "answer: " + ", ".join(f"c{n} CNAME" for n in range(1, 17)) + ", c17 A | @ NS"),
        ("c0 A", "answer: " + ", ".join(f"c{n} CNAME" for n in range(16)) + " | @ NS"),
        # CNAME targets that are looked up elsewhere
        ("dangle A", "cname → nothere.example.org.: dangle CNAME"),
        ("out A", "cname → host.other.test.: out CNAME"),
        ("towild A", "cname → some.wild.example.org.: towild CNAME"),
        ("tocut A", "cname → h.sub.example.org.: tocut CNAME"),
        # DNAME (RFC 6672)
        ("dn DNAME", "answer: dn DNAME | @ NS"),
        ("dn TXT", "answer: dn TXT | @ NS"),
        ("dn A", "nodata:  | @ SOA"),
        ("h.dn A", "answer: dn DNAME, h.dn CNAME, h.target A | @ NS"),
        ("h.dn CNAME", "answer: dn DNAME, h.dn CNAME | @ NS"),
        ("n.dn A", "cname → n.target.example.org.: dn DNAME, n.dn CNAME"),
        ("a.b.dnout A", "cname → a.b.other.test.: dnout DNAME, a.b.dnout CNAME"),
        ("a.dnlong A", "cname → a." + ".".join(["x" * 60] * 3) + ".example.org.: dnlong DNAME, a.dnlong CNAME"),
        (f"{'y' * 60}.dnlong A", "name too long: dnlong DNAME | @ NS"),
    ],
)  # fmt: skip
def test_look_ups_in_an_unsigned_zone(question: str, expected: str) -> None:
    assert summary(EXAMPLE_TREE, question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("@ SOA", "answer: @ SOA, @ RRSIG | @ NS, @ RRSIG"),
        ("ns A", "answer: ns A, ns RRSIG | @ NS, @ RRSIG"),
        ("ns RRSIG", "answer: ns RRSIG | @ NS, @ RRSIG"),
        ("ns NSEC", "answer: ns NSEC, ns RRSIG | @ NS, @ RRSIG"),
        ("c.b TXT", "nodata:  | @ SOA, @ RRSIG, c.b NSEC, c.b RRSIG"),  # RFC 4035 §3.1.3.1
        ("nx A", "nxdomain:  | @ SOA, @ RRSIG, ns NSEC, ns RRSIG, @ NSEC"),  # §3.1.3.2: neither the name nor a wildcard
        ("a A", "nxdomain:  | @ SOA, @ RRSIG, @ NSEC"),  # one NSEC proves both
        ("zz A", "nxdomain:  | @ SOA, @ RRSIG, *.w NSEC, *.w RRSIG, @ NSEC"),
        ("b A", "empty non-terminal:  | @ SOA, @ RRSIG, @ NSEC"),
        ("x.w A", "answer: x.w A, x.w RRSIG | @ NS, @ RRSIG, *.w NSEC, *.w RRSIG"),  # §3.1.3.3
        ("x.w TXT", "nodata:  | @ SOA, @ RRSIG, *.w NSEC, *.w RRSIG"),  # §3.1.3.4
        ("x.sub A", "referral:  | sub NS, sub NSEC, sub RRSIG | ns.sub A"),  # §3.1.4
    ],
)
def test_look_ups_in_a_signed_zone(question: str, expected: str) -> None:
    assert summary(SIGNED_TREE, question, do=True) == expected
    unsigned = summary(SIGNED_TREE, question, do=False)
    if not question.endswith(("NSEC", "RRSIG")):
        assert "RRSIG" not in unsigned
        assert "NSEC" not in unsigned


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no SOA record for origin a.org."),
        ("x IN A 1.1.1.1", "has no SOA record"),
        ("x IN SOA a b 1 1 1 1 1", "has an SOA at x.a.org. that does not match origin a.org."),
        ("@ IN SOA a b 1 1 1 1 1\n@ IN NSEC3PARAM 1 0 0 -", "has NSEC3 records, at a.org."),
        ("@ IN SOA a b 1 1 1 1 1\n@ IN TYPE65400 \\# 65000 " + "00" * 65000, "which no message can hold"),
    ],
)
def test_zones_that_cannot_be_served(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace(".", "\\.")):
        tree(f"$TTL 60\n{text}\n", "a.org")


def test_records_outside_the_zone_are_ignored() -> None:
    zone = tree(
        "$TTL 60\n@ IN SOA a b 0 1 1 1 1\n@ IN SOA a b 4294967295 1 1 1 1\na A 1.1.1.1\na A 1.1.1.1\n"
        "b.other. A 2.2.2.2\nxa.org. A 3.3.3.3\nc CH TXT x\n",
        "a.org",
    )
    outside = [text.split()[0] for _, text in zone.warnings.found if "the record is ignored" in text]
    assert outside == ["b.other.", "xa.org.", "c.a.org."]
    assert zone.serial == 0xFFFFFFFF
    assert [codes.type_text(one.rtype) for one in zone.records()] == ["SOA", "A", "SOA"]
    assert summary(zone, "c TXT").startswith(ZoneOutcome.NXDOMAIN.value)


def test_a_wildcard_and_a_dname_in_the_root_zone() -> None:
    zone = tree("$TTL 60\n@ IN SOA a b 1 1 1 1 1\n*.org. IN A 1.1.1.1\norg. IN DNAME x.\n", ".")
    found = zone.find(from_text("a.b.org"), codes.A, do=False)
    assert (found.outcome, to_text(found.target)) == (ZoneOutcome.CNAME, "a.b.x.")
    found = zone.find(from_text("net"), codes.A, do=True)
    assert found.outcome is ZoneOutcome.NXDOMAIN


def test_targets_keep_their_case_and_their_addresses_are_found() -> None:
    found = EXAMPLE_TREE.find(from_text("_sip._tcp.example.org"), codes.SRV, do=False)
    assert b"\x03SIP" in found.answer[0].rdata
    assert [to_text(one.name) for one in found.additional] == ["sip.example.org."]


@pytest.mark.parametrize("count", [10, 1_000, 2_000, 6_000])
@pytest.mark.parametrize("kind", ["MX 1", "SRV 0 1 80", "NS"])
def test_no_more_addresses_are_looked_up_than_a_message_holds(kind: str, count: int) -> None:
    hosts = [f"h{number}" for number in range(count)]
    text = "@ 60 IN SOA ns.example.org. root.example.org. 1 60 60 60 60\n@ 60 IN NS ns.example.org.\n"
    text += "".join([f"many 60 IN {kind} {host}\n{host} 60 IN A 192.0.2.1\n{host} 60 IN AAAA ::1\n" for host in hosts])
    zone = tree(text, "example.org")
    calls = 0

    class CountedNodes(dict[bytes, Records]):
        def get(self, *key: object) -> Records:
            nonlocal calls
            calls += 1
            return super().get(*key)  # type: ignore[call-overload,no-any-return]

    zone._nodes = CountedNodes(zone._nodes)
    rtype = kind.partition(" ")[0]
    found = resolve(zone, from_text("many.example.org."), codes.type_from_text(rtype), do=False)
    records = found.answer or found.authority
    assert len(records) == count
    least = sum(2 + len(one.body) if rtype == "SRV" else 13 for one in records)
    assert len(found.additional) == len(set(found.additional))
    if least + 2 * count * 16 <= 65535:
        assert len(found.additional) == 2 * count
    else:
        assert least + 16 * len(found.additional) > 65535 - 32
        assert 16 * len(found.additional) < 65535 + 64
    assert calls < 2 * (65535 // 32 + 10)


def large_zone() -> str:
    """Make a zone in which names of every kind have more records than are looked up one by one."""
    rows = ["@ SOA ns host 1 7200 1800 86400 60", "@ NS ns", "ns A 10.0.0.1"]
    for number in range(40):
        rows += [
            f"@ NS ns{number}", f"big A 10.0.1.{number}", f"big AAAA fd00::{number}", f"big TXT t{number}",
            f"mail MX {number} big{number}", f"ptr PTR host{number}.elsewhere",
            f"_x._tcp SRV 0 1 5432 big{number}", f"*.wild A 10.0.2.{number}", f"*.wild MX 5 big{number}",
            f"cut NS ns{number}.cut", f"ns{number}.cut A 10.0.3.{number}", f"dname TXT d{number}",
            f"big{number} A 10.0.4.{number}", f"alias{number} CNAME " + (f"alias{number + 1}" if number < 5 else "big"),
            f"big RRSIG A 8 3 60 20400101000000 20200101000000 {number} example.org. AAAA",
        ]  # fmt: skip
    rows.append("dname DNAME wild")
    return "$ORIGIN example.org.\n$TTL 60\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize("do", [False, True])
def test_a_name_with_many_records_is_answered_as_one_with_few(do: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    large = tree(large_zone(), "example.org")
    monkeypatch.setattr(content, "MIN_RUN", 1 << 30)
    plain = tree(large_zone(), "example.org")
    assert list(large.records()) == list(plain.records())
    labels = (
        "@", "big", "mail", "ptr", "_x._tcp", "a.wild", "wild", "cut", "a.cut", "dname", "a.dname", "alias0", "alias9",
        "big7", "nothing", "x.big",
    )  # fmt: skip
    for label in labels:
        for qtype in (*ZONE_TYPES, codes.ANY):
            qname = from_text("example.org" if label == "@" else f"{label}.example.org")
            found, expected = (resolve(one, qname, qtype, do=do) for one in (large, plain))
            assert (found.outcome, found.target) == (expected.outcome, expected.target)
            for section in ("answer", "authority", "additional"):
                assert list(getattr(found, section)) == list(getattr(expected, section)), (label, qtype, section)
    assert type(large.find(from_text("mail.example.org"), codes.MX, do=do).answer) is RecordRun
