"""Small random zones for tests, made like those of the Ferret data set: every kind of name in few labels.

A zone is valid: a CNAME stands alone, nothing is below a DNAME, and below a delegation there is glue only. Names of one
to three labels from a small alphabet make wildcards, empty non-terminals, chains, rings and delegations meet often.
"""

from collections.abc import Iterator
from itertools import product
from random import Random

LABELS = ("a", "b", "*")
TYPES = ("A", "TXT", "CNAME", "DNAME", "NS", "MX")
QUERY_TYPES = ("A", "TXT", "CNAME", "DNAME", "NS", "MX")

Zone = dict[str, dict[str, list[str]]]  # owner, relative, "@" for the apex → type → RDATA


def owners() -> list[str]:
    """Return every owner name of a zone but its apex, shorter names first."""
    return [".".join(parts) for size in (1, 2, 3) for parts in product(LABELS, repeat=size)]


def query_names() -> list[str]:
    """Return the names that are asked: the owner names, and names that no zone has."""
    parts = (*LABELS, "x")
    return ["@", *(".".join(one) for size in (1, 2, 3) for one in product(parts, repeat=size)), "a.a.a.a", "x.x.a.b"]


def zone(random: Random) -> Zone:
    """Make one zone; targets are relative names of it, of names that may not exist, or outside of it."""
    found: Zone = {"@": {"SOA": ["ns hm 1 7200 1800 86400 60"], "NS": ["ns"]}, "ns": {"A": ["192.0.2.1"]}}
    hidden: dict[str, str] = {}  # names at or above which delegations and DNAMEs hide everything
    for owner in random.sample(owners(), random.randint(2, 7)):
        found[owner] = {}
        for rtype in random.choice((("A",), ("A", "TXT"), ("CNAME",), ("DNAME",), ("NS",), ("A", "DNAME"), ("MX",))):
            if rtype in ("NS", "DNAME") and "*" in owner:
                rtype = "A"
            found[owner][rtype] = [_rdata(random, rtype)]
            if rtype in ("NS", "DNAME"):
                hidden[owner] = rtype
    for owner in tuple(found):
        if owner != "@" and any(above in hidden for above in _ancestors(owner)):
            del found[owner]
    _add_glue(random, found)
    return found


def text(zone: Zone) -> str:
    """Return the zone as a master file."""
    lines = (
        f"{owner} {rtype} {rdata}\n"
        for owner, types in zone.items()
        for rtype, found in types.items()
        for rdata in found
    )
    return "$TTL 60\n" + "".join(lines)


def _ancestors(owner: str) -> Iterator[str]:
    parts = owner.split(".")
    return (".".join(parts[start:]) for start in range(1, len(parts)))


def _rdata(random: Random, rtype: str) -> str:
    target = random.choice((*owners(), "x", "x.a", "ns", "outside.example."))
    return {"A": f"192.0.2.{random.randint(2, 250)}", "TXT": "text", "MX": f"5 {target}"}.get(rtype, target)


def _add_glue(random: Random, found: Zone) -> None:
    """Give the server of each delegation an address, where the server is at or below a delegation."""
    cuts = [owner for owner, types in found.items() if "NS" in types and owner != "@"]
    for cut in cuts:
        for target in found[cut]["NS"]:
            above = next((one for one in cuts if target == one or target.endswith(f".{one}")), None)
            if above is not None and "*" not in target:
                found.setdefault(target, {})["A"] = [f"192.0.2.{random.randint(2, 250)}"]
