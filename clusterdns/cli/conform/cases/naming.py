"""Names that the tables of cases ask for: reverse names, and other cases of letters."""

from ipaddress import ip_address

from clusterdns.cli.conform.case import Ask
from clusterdns.cli.conform.served import V4, V6, ServedObjects, ServedService

TYPES = ((V4, "A"), (V6, "AAAA"))


def reverse_of(address: str) -> str:
    """Return the reverse name of an address."""
    return ip_address(address).reverse_pointer + "."


def question_for(objects: ServedObjects, service: ServedService) -> Ask:
    """Ask for the addresses of a Service, of a family that it has."""
    has_v4 = service.ips_of(V4) if service.ips else service.addresses(V4)
    return Ask(objects.name_of(service), "A" if has_v4 else "AAAA")


def mixed(name: str) -> str:
    """Write every other character in upper case."""
    return "".join(one.upper() if place % 2 else one for place, one in enumerate(name))
