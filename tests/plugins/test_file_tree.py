"""What a zone says about its names: RFC 1034, 2308, 4035, 4592 and 6672 as tables."""

import pytest
from plugins.example_zones import EXAMPLE, SIGNED

from clusterdns.plugins.file.handler import chase
from clusterdns.plugins.file.tree import Outcome, ZoneTree
from clusterdns.wire import codes
from clusterdns.wire.name import from_text, to_text
from clusterdns.wire.zonetext import zone_from_text


def tree(text: str, origin: str) -> ZoneTree:
    zone = from_text(origin)
    return ZoneTree(zone, zone_from_text(text, zone, "/"))


EXAMPLE_TREE = tree(EXAMPLE, "example.org")
SIGNED_TREE = tree(SIGNED, "a.org")


def said(zone: ZoneTree, question: str, *, do: bool = False) -> str:
    """The outcome, then each section as `owner type`, sections parted by `|`; the top as `@`."""
    qname, qtype = question.split()
    suffix = to_text(zone.origin)
    found = chase(zone, from_text(f"{qname}.{suffix}" if qname != "@" else suffix), codes.type_from_text(qtype), do=do)
    sections = []
    for section in (found.answer, found.authority, found.additional):
        parts: dict[str, None] = {}
        for one in section:
            owner = to_text(one.name)
            owner = "@" if owner == suffix else owner.removesuffix(f".{suffix}")
            parts[f"{owner} {codes.type_text(one.rtype)}"] = None
        sections.append(", ".join(parts))
    target = f" → {to_text(found.target)}" if found.target else ""
    return f"{found.outcome.value}{target}: " + " | ".join(sections).rstrip(" |")


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
        # what records point to (RFC 1035 §3.3.9, RFC 2782, RFC 9460)
        ("_multi._tcp SRV", "answer: _multi._tcp SRV | @ NS | sip A"),
        ("_sip._tcp SRV", "answer: _sip._tcp SRV | @ NS | sip A"),
        ("svcx SVCB", "answer: svcx SVCB | @ NS | sip A"),
        ("svca HTTPS", "answer: svca HTTPS | @ NS | www A"),
        ("svc HTTPS", "answer: svc HTTPS | @ NS"),
        # names with nothing but names below (RFC 4592 §2.2.2)
        ("ent A", "empty:  | @ SOA"),
        ("_tcp SRV", "empty:  | @ SOA"),
        ("x.ent A", "nxdomain:  | @ SOA"),
        # wildcards (RFC 4592)
        ("x.wild A", "answer: x.wild A | @ NS"),
        ("y.x.wild A", "answer: y.x.wild A | @ NS"),
        ("x.wild MX", "answer: x.wild MX | @ NS | mail A, mail AAAA"),
        ("x.wild TXT", "nodata:  | @ SOA"),
        ("*.wild A", "answer: *.wild A | @ NS"),
        ("host.wild A", "nodata:  | @ SOA"),  # what is there is not made
        ("x.host.wild A", "nxdomain:  | @ SOA"),
        ("b.wild A", "empty:  | @ SOA"),  # and neither is what stands above something
        ("x.b.wild A", "nxdomain:  | @ SOA"),
        ("wild A", "empty:  | @ SOA"),
        ("x.cwild A", "answer: x.cwild CNAME, www A | @ NS"),
        ("x.cwild CNAME", "answer: x.cwild CNAME | @ NS"),
        # cuts (RFC 1034 §4.2.1), and the one type that the parent has (RFC 4035 §3.1.4.1)
        ("sub A", "referral:  | sub NS | ns.sub A"),
        ("sub NS", "referral:  | sub NS | ns.sub A"),
        ("h.sub A", "referral:  | sub NS | ns.sub A"),
        ("a.b.c.sub A", "referral:  | sub NS | ns.sub A"),
        ("sub DS", "answer: sub DS | @ NS"),
        ("ns.sub DS", "referral:  | sub NS | ns.sub A"),
        ("outsub DS", "nodata:  | @ SOA"),
        ("outsub A", "referral:  | outsub NS"),
        # aliases
        ("alias CNAME", "answer: alias CNAME | @ NS"),
        ("alias A", "answer: alias CNAME, www A | @ NS"),
        ("alias2 A", "answer: alias2 CNAME, alias CNAME, www A | @ NS"),
        ("alias2 MX", "nodata: alias2 CNAME, alias CNAME | @ SOA"),  # RFC 2308 §2.2
        ("toent A", "empty: toent CNAME | @ SOA"),
        ("both TXT", "nodata: both CNAME | @ SOA"),
        ("loop1 A", "answer: loop1 CNAME, loop2 CNAME | @ NS"),
        ("to-self A", "answer: to-self CNAME | @ NS"),
        ("c3 A", "answer: " + ", ".join(f"c{n} CNAME" for n in range(3, 11)) + ", c11 A | @ NS"),
        ("c0 A", "answer: " + ", ".join(f"c{n} CNAME" for n in range(10)) + " | @ NS"),
        # aliases that another may know the end of
        ("dangle A", "alias → nothere.example.org.: dangle CNAME"),
        ("out A", "alias → host.other.test.: out CNAME"),
        ("towild A", "alias → some.wild.example.org.: towild CNAME"),
        ("tocut A", "alias → h.sub.example.org.: tocut CNAME"),
        # DNAME (RFC 6672)
        ("dn DNAME", "answer: dn DNAME | @ NS"),
        ("dn TXT", "answer: dn TXT | @ NS"),
        ("dn A", "nodata:  | @ SOA"),
        ("h.dn A", "answer: dn DNAME, h.dn CNAME, h.target A | @ NS"),
        ("h.dn CNAME", "answer: dn DNAME, h.dn CNAME | @ NS"),
        ("n.dn A", "alias → n.target.example.org.: dn DNAME, n.dn CNAME"),
        ("a.b.dnout A", "alias → a.b.other.test.: dnout DNAME, a.b.dnout CNAME"),
        ("a.dnlong A", "alias → a." + ".".join(["x" * 60] * 3) + ".example.org.: dnlong DNAME, a.dnlong CNAME"),
        (f"{'y' * 60}.dnlong A", "too long: dnlong DNAME | @ NS"),
    ],
)  # fmt: skip
def test_what_a_name_holds(question: str, expected: str) -> None:
    assert said(EXAMPLE_TREE, question) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("@ SOA", "answer: @ SOA, @ RRSIG | @ NS, @ RRSIG"),
        ("ns A", "answer: ns A, ns RRSIG | @ NS, @ RRSIG"),
        ("ns RRSIG", "answer: ns RRSIG | @ NS, @ RRSIG"),
        ("ns NSEC", "answer: ns NSEC, ns RRSIG | @ NS, @ RRSIG"),
        ("c.b TXT", "nodata:  | @ SOA, @ RRSIG, c.b NSEC, c.b RRSIG"),  # RFC 4035 §3.1.3.1
        ("nx A", "nxdomain:  | @ SOA, @ RRSIG, ns NSEC, ns RRSIG, @ NSEC"),  # §3.1.3.2: the name, and the wildcard
        ("a A", "nxdomain:  | @ SOA, @ RRSIG, @ NSEC"),  # one NSEC says both
        ("zz A", "nxdomain:  | @ SOA, @ RRSIG, *.w NSEC, *.w RRSIG, @ NSEC"),
        ("b A", "empty:  | @ SOA, @ RRSIG, @ NSEC"),
        ("x.w A", "answer: x.w A, x.w RRSIG | @ NS, @ RRSIG, *.w NSEC, *.w RRSIG"),  # §3.1.3.3
        ("x.w TXT", "nodata:  | @ SOA, @ RRSIG, *.w NSEC, *.w RRSIG"),  # §3.1.3.4
        ("x.sub A", "referral:  | sub NS, sub NSEC, sub RRSIG | ns.sub A"),  # §3.1.4
    ],
)
def test_what_a_signed_zone_proves(question: str, expected: str) -> None:
    assert said(SIGNED_TREE, question, do=True) == expected
    unsigned = said(SIGNED_TREE, question, do=False)
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
def test_what_is_no_zone(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace(".", "\\.")):
        tree(f"$TTL 60\n{text}\n", "a.org")


def test_what_does_not_belong_is_left_out() -> None:
    zone = tree(
        "$TTL 60\n@ IN SOA a b 0 1 1 1 1\n@ IN SOA a b 4294967295 1 1 1 1\na A 1.1.1.1\na A 1.1.1.1\n"
        "b.other. A 2.2.2.2\nxa.org. A 3.3.3.3\nc CH TXT x\n",
        "a.org",
    )
    assert list(map(to_text, zone.outside)) == ["b.other.", "xa.org.", "c.a.org."]
    assert zone.serial == 0xFFFFFFFF
    assert [codes.type_text(one.rtype) for one in zone.records()] == ["SOA", "A", "SOA"]
    assert said(zone, "c TXT").startswith(Outcome.NXDOMAIN.value)


def test_a_wildcard_at_the_top_and_a_zone_at_the_root() -> None:
    zone = tree("$TTL 60\n@ IN SOA a b 1 1 1 1 1\n*.org. IN A 1.1.1.1\norg. IN DNAME x.\n", ".")
    found = zone.find(from_text("a.b.org"), codes.A, do=False)
    assert (found.outcome, to_text(found.target)) == (Outcome.ALIAS, "a.b.x.")
    found = zone.find(from_text("net"), codes.A, do=True)
    assert found.outcome is Outcome.NXDOMAIN


def test_targets_keep_their_letter_case_and_are_found_anyway() -> None:
    found = EXAMPLE_TREE.find(from_text("_sip._tcp.example.org"), codes.SRV, do=False)
    assert b"\x03SIP" in found.answer[0].rdata
    assert [to_text(one.name) for one in found.additional] == ["sip.example.org."]
