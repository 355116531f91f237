"""Names that the tables of cases ask for: reverse names, and other cases of letters."""

from ipaddress import ip_address

from clusterdns.cli.conform.served import V4, V6

TYPES = ((V4, "A"), (V6, "AAAA"))


def reverse_of(address: str) -> str:
    """Return the reverse name of an address."""
    return ip_address(address).reverse_pointer + "."


def mixed(name: str) -> str:
    """Write every other character in upper case."""
    return "".join(one.upper() if place % 2 else one for place, one in enumerate(name))
