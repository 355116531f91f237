"""The part `rfc`: what the RFCs require of every name server, asked with names of the objects."""

from dataclasses import replace

from clusterdns.cli.conform.case import Ask, Case, Collector, SuitePart
from clusterdns.cli.conform.cases import edns, existence, messages, records, transports
from clusterdns.cli.conform.cases.roles import ZoneRoles
from clusterdns.cli.conform.served import V4, ServedObjects


def cases(objects: ServedObjects) -> list[Case]:
    """Make the rows, in the order of the tables."""
    row, roles = Collector(SuitePart.RFC), ZoneRoles(objects)
    for table in (existence, records, messages, edns, transports):
        table.add_rows(row, roles)
    found = [replace(case, skipped=_skipped(roles, case)) for case in row.cases]
    return found if roles.family == V4 else [replace(case, asks=tuple(map(_swapped, case.asks))) for case in found]


def _swapped(ask: Ask) -> Ask:
    """Ask for AAAA in place of A, and for A in place of AAAA."""
    return replace(ask, qtype={"A": "AAAA", "AAAA": "A"}.get(ask.qtype, ask.qtype))


def _skipped(roles: ZoneRoles, case: Case) -> str:
    return next(filter(None, (roles.skipped(ask.name) for ask in case.asks)), "")
