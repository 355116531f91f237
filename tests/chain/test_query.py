"""The client of a query: its address to compare with others, and as logs show it."""

import pytest

from clusterdns.chain import Query
from clusterdns.chain.query import plain_ip


@pytest.mark.parametrize(
    ("host", "address", "text"),
    [
        ("10.1.0.9", "10.1.0.9", "10.1.0.9"),
        ("::ffff:10.1.0.9", "10.1.0.9", "10.1.0.9"),
        ("2001:db8::9", "2001:db8::9", "2001:db8::9"),
        ("::ffff:1:2:3", "::ffff:1:2:3", "::ffff:1:2:3"),  # not IPv4-mapped
        ("fe80::1%eth0", "fe80::1", "fe80::1%eth0"),
        ("fe80::1%eth0.100", "fe80::1", "fe80::1%eth0.100"),
    ],
)
def test_addresses_are_compared_without_scope_and_logged_with_it(host: str, address: str, text: str) -> None:
    query = Query()
    query.client = (host, 40222)
    assert str(query.client_ip) == address
    assert query.client_text == text
    query.server = host
    assert (str(query.server_ip), query.server_text) == (address, text)


def test_text_that_is_not_an_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        plain_ip("eth0")
