"""The intended differences from CoreDNS's answers, by directive, as `check` prints them.

The names are those of docs/differences.md, which explains each and names the test that pins it. Improvements that do
not change an answer are documented by the directive itself (`Doc.better`).
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from clusterdns.corefile.load import Corefile
from clusterdns.plugins.order import ORDER, plugin


class Difference(NamedTuple):
    """One difference; without directives it concerns every configuration."""

    name: str
    directives: tuple[str, ...]
    text: str


_CLUSTER = ("kubernetes",)

DIFFERENCES = (
    Difference("notify", (), "NOTIFY is NOTIMP"),
    Difference("reserved-edns-flags", (), "reserved flags of EDNS are zero in replies"),
    Difference("badvers-do", (), "BADVERS has DO as asked"),
    Difference("udp-at-1232", (), "replies over UDP have 1,232 bytes at most, then TC"),
    Difference("extended-error", (), "SERVFAIL, REFUSED and stale replies carry an extended error with the cause"),
    Difference("txt-of-existing", _CLUSTER, "TXT of the zone, svc, pod and namespaces is NODATA, not NXDOMAIN"),
    Difference("fixed-names", _CLUSTER, "other types of dns, ns.dns and dns-version are NODATA, not NXDOMAIN"),
    Difference("soa-of-absent", _CLUSTER, "SOA of a name that does not exist is NXDOMAIN, not NODATA"),
    Difference("port-ancestor", _CLUSTER, "_tcp above a named port is NODATA, not NXDOMAIN"),
    Difference("reverse-ancestor", _CLUSTER, "a reverse name above one with a name is NODATA, not NXDOMAIN"),
    Difference("reverse-other-types", _CLUSTER, "types other than PTR of a known address are NODATA, not NXDOMAIN"),
    Difference("reverse-extra-labels", _CLUSTER, "labels left of a whole IPv6 reverse name make it NXDOMAIN"),
    Difference("pod-extra-labels", _CLUSTER, "labels left of a pod's address label make the name NXDOMAIN"),
    Difference("pod-srv", _CLUSTER, "SRV of a pod's name is NODATA, not a record with port 0"),
    Difference("pod-other-addresses", _CLUSTER, "'pods verified' finds an address of a pod in any spelling"),
    Difference("externalname-all-types", _CLUSTER, "an ExternalName is a CNAME for all types"),
    Difference("externalname-dangling", _CLUSTER, "an ExternalName without a target: its CNAME and the target's RCODE"),
    Difference("externalname-ring", _CLUSTER, "ExternalNames in a ring are answered with a part of the ring"),
    Difference("externalname-empty-labels", _CLUSTER, "_._. left of an ExternalName is NXDOMAIN"),
    Difference("fqdn-endpoints", _CLUSTER, "endpoints that are not IP addresses are left out"),
    Difference("slice-without-service", _CLUSTER, "EndpointSlices without a Service are left out"),
    Difference("pointer-target", _CLUSTER, "a PTR points to names that resolve, and to no others"),
    Difference("srv-weights", _CLUSTER, "SRV weights are shared among the records that are sent"),
    Difference("any-hinfo", _CLUSTER, "ANY is answered with HINFO RFC8482, not NODATA"),
    Difference("own-addresses-when-bound", ("bind",), "NS and ns.dns of a cluster's zone have the bound addresses"),
    Difference("wrong-question", ("forward",), "a reply to another question is ignored, not passed on as FORMERR"),
    Difference("truncated-upstream", ("forward",), "a truncated reply is asked for again over TCP"),
    Difference("case-as-asked", ("forward", "cache"), "names have the case of the question (0x20)"),
    Difference("opt-unasked", ("forward", "acl", "template"), "an OPT record is sent only to clients that sent one"),
    Difference("do-unasked", ("acl", "template", "nsid"), "DO is set in replies only where it was asked for"),
    Difference("negative-ttl", ("cache",), "negative answers are kept for the smaller of SOA TTL and MINIMUM"),
    Difference("held-data-uncached", ("cache",), "own data is not cached: full TTLs, changes seen at once"),
    Difference("ttl-of-opt", ("rewrite",), "'rewrite ttl' leaves the OPT alone"),
    Difference("search-domain", ("autopath",), "a search domain itself is answered, not SERVFAIL"),
    Difference("cname-twice", ("autopath",), "a name has one CNAME, not the same one twice"),
    Difference("class-in-only", ("file",), "questions of class CH do not get data of class IN"),
    Difference(
        "malformed-upstream", ("forward",), "after a malformed reply the question is sent again, then to the next"
    ),
    Difference("foreign-records", ("forward",), "records of other names in an upstream's answer are dropped"),
    Difference("dns64-native", ("dns64",), "'translate_all': a name without A records keeps its AAAA records"),
    Difference("file-any-hinfo", ("file",), "ANY is answered with HINFO RFC8482, not NODATA"),
    Difference(
        "file-cname-nodata",
        ("file",),
        "a CNAME to a name without the type comes with the zone's SOA",
    ),
    Difference("file-cname-ring", ("file",), "CNAMEs in a ring are sent once each"),
    Difference("file-referral-owner", ("file",), "NS records of a referral have the name of the delegation"),
)


def differences_of(corefile: Corefile) -> Iterator[str]:
    """Write the differences as lines: those of every configuration first, then by directive, in the chain's order."""
    yield from _named(())
    places = {directive.name: directive.place for block in reversed(corefile.blocks) for directive in block.directives}
    for name in ORDER:
        if name not in places:
            continue
        better = plugin(name).doc.better
        lines = [f"  {one}" for one in _named((name,))]
        if better or lines:
            yield f"{name} ({places[name]}): {better}".rstrip(": ")
            yield from lines


def _named(directives: Collection[str]) -> Iterator[str]:
    for one in DIFFERENCES:
        if one.directives == directives or any(name in directives for name in one.directives):
            yield f"{one.name}: {one.text}"
