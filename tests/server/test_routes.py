"""Routes: the longest zone takes a query, and a query for DS goes to the parent's side of a zone cut."""

import pytest

from clusterdns.chain import Query, Reply
from clusterdns.server.routes import Chain, Route, Routes
from clusterdns.wire import codes
from clusterdns.wire.name import from_text


async def handler(query: Query) -> Reply:
    return Reply(codes.NOERROR)


def routes(*zones: str) -> Routes:
    """Routes of these zones; a zone in parentheses has no handler."""
    made = [(zone.strip("()"), Chain(None if zone.startswith("(") else handler)) for zone in zones]
    return Routes([Route(from_text(zone), zone, chain) for zone, chain in made])


@pytest.mark.parametrize(
    ("zones", "name", "qtype", "zone"),
    [
        ((".",), "a.example.", codes.A, "."),
        ((".", "example."), "a.example.", codes.A, "example."),
        ((".", "example."), "example.", codes.A, "example."),
        ((".", "example."), "xexample.", codes.A, "."),
        (("example.", "sub.example."), "a.sub.example.", codes.A, "sub.example."),
        (("example.", "(sub.example.)"), "a.sub.example.", codes.A, "sub.example."),
        (("example.",), "a.test.", codes.A, None),
        (("(.)",), "a.test.", codes.A, None),
        (("(.)", "example."), "a.test.", codes.A, None),
        (("example.", "sub.example."), "sub.example.", codes.DS, "example."),
        (("example.", "sub.example."), "a.sub.example.", codes.DS, "example."),
        ((".", "example."), "example.", codes.DS, "example."),  # as CoreDNS: the root is no parent
        ((".", "example."), "a.test.", codes.DS, "."),
    ],
)
def test_zone_of_a_query(zones: tuple[str, ...], name: str, qtype: int, zone: str | None) -> None:
    found = routes(*zones).find(from_text(name), qtype)
    assert (found and found.zone_text) == zone
