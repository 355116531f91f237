"""Where answers differ from CoreDNS's on purpose, by the directives that it concerns: what `check` tells beforehand.

The names are those of docs/differences.md, which says more of each and which test pins it. What a directive does better
without answering differently is its own documentation (`Doc.better`).
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from clusterdns.corefile.load import Corefile
from clusterdns.plugins.order import ORDER


class Named(NamedTuple):
    """One difference; without directives it concerns every configuration."""

    name: str
    directives: tuple[str, ...]
    told: str


_CLUSTER = ("kubernetes",)

NAMED = (
    Named("notify", (), "NOTIFY is NOTIMP"),
    Named("reserved-edns-flags", (), "reserved flags of EDNS are zero in replies"),
    Named("badvers-do", (), "BADVERS has DO as asked"),
    Named("udp-at-1232", (), "replies over UDP have 1,232 bytes at most, then TC"),
    Named("told-why", (), "SERVFAIL and stale replies carry an extended error with the cause"),
    Named("txt-of-existing", _CLUSTER, "TXT of the zone, svc, pod and namespaces is NODATA, not NXDOMAIN"),
    Named("fixed-names", _CLUSTER, "other types of dns, ns.dns and dns-version are NODATA, not NXDOMAIN"),
    Named("soa-of-absent", _CLUSTER, "SOA of a name that is not there is NXDOMAIN, not NODATA"),
    Named("port-ancestor", _CLUSTER, "_tcp above a named port is NODATA, not NXDOMAIN"),
    Named("reverse-ancestor", _CLUSTER, "a reverse name above one with a name is NODATA, not NXDOMAIN"),
    Named("reverse-other-types", _CLUSTER, "types other than PTR of a known address are NODATA, not NXDOMAIN"),
    Named("reverse-extra-labels", _CLUSTER, "labels left of a whole IPv6 reverse name make it NXDOMAIN"),
    Named("pod-extra-labels", _CLUSTER, "labels left of a pod's address label make the name NXDOMAIN"),
    Named("pod-srv", _CLUSTER, "SRV of a pod's name is NODATA, not a record with port 0"),
    Named("pod-other-addresses", _CLUSTER, "'pods verified' knows every address of a pod, however it is spelled"),
    Named("externalname-all-types", _CLUSTER, "an ExternalName is a CNAME for all types"),
    Named("externalname-dangling", _CLUSTER, "an ExternalName that leads nowhere shows its CNAME and its end's code"),
    Named("externalname-ring", _CLUSTER, "ExternalNames in a ring show a stretch of it"),
    Named("externalname-empty-labels", _CLUSTER, "_._. left of an ExternalName is NXDOMAIN"),
    Named("fqdn-endpoints", _CLUSTER, "endpoints that are no IP addresses are left out"),
    Named("slice-without-service", _CLUSTER, "EndpointSlices without a Service are left out"),
    Named("srv-weights", _CLUSTER, "SRV weights are shared among the records that are sent"),
    Named("any-hinfo", _CLUSTER, "ANY is answered with HINFO RFC8482, not NODATA"),
    Named("own-addresses-when-bound", ("bind",), "NS of a cluster's zone and addresses of ns.dns are those bound"),
    Named("wrong-question", ("forward",), "a reply to another question is ignored, not passed on as FORMERR"),
    Named("truncated-upstream", ("forward",), "a truncated reply is asked for again over TCP"),
    Named("letter-case-as-asked", ("forward", "cache"), "names come back in the letters of the question"),
    Named("opt-unasked", ("forward", "acl", "template"), "an OPT goes only to clients that sent one"),
    Named("do-unasked", ("acl", "template", "nsid"), "DO is set in replies only where it was asked for"),
    Named("negative-ttl", ("cache",), "denials are kept for the smaller of the SOA's TTL and its MINIMUM"),
    Named("held-data-uncached", ("cache",), "data of the server's own is not cached: whole TTLs, changes seen at once"),
    Named("ttl-of-opt", ("rewrite",), "'rewrite ttl' leaves the OPT alone"),
    Named("search-domain", ("autopath",), "a search domain itself is answered, not SERVFAIL"),
    Named("alias-twice", ("autopath",), "an alias has one CNAME, not the same one twice"),
    Named("class-in-only", ("file",), "questions of class CH do not get data of class IN"),
    Named("malformed-upstream", ("forward",), "a reply cut short is asked for again, then the next upstream's turn"),
    Named("file-any-hinfo", ("file",), "ANY is answered with HINFO RFC8482, not NODATA"),
    Named("file-alias-denied", ("file",), "an alias whose end lacks the type has the zone's SOA below it"),
    Named("file-alias-ring", ("file",), "aliases in a ring are shown once each"),
    Named("file-referral-owner", ("file",), "NS records of a referral are named after the cut"),
)


def told_of(corefile: Corefile) -> Iterator[str]:
    """Lines for people: what concerns everyone, then directive by directive in the order in which they work."""
    yield from _named(())
    places = {directive.name: directive.place for block in reversed(corefile.blocks) for directive in block.directives}
    for plugin in ORDER:
        if plugin.name not in places:
            continue
        lines = [f"  {one}" for one in _named((plugin.name,))]
        if plugin.doc.better or lines:
            yield f"{plugin.name} ({places[plugin.name]}): {plugin.doc.better}".rstrip(": ")
            yield from lines


def _named(directives: Collection[str]) -> Iterator[str]:
    for one in NAMED:
        if one.directives == directives or any(name in directives for name in one.directives):
            yield f"{one.name}: {one.told}"
