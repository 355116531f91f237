"""A DNS server that answers from zone-file lines, over UDP and TCP; dnslib reads, writes and serves its messages."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Self

from dnslib import CLASS, QTYPE, RCODE, RR, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from testing.ports import LOOPBACK, free_ports


class ZoneUpstream:
    """The server, listening inside its context. It follows CNAMEs, and answers NXDOMAIN to names without records."""

    def __init__(self, zone_text: str) -> None:
        self.host = LOOPBACK
        (self.port,) = free_ports(1)
        self._resolver = _ZoneResolver(RR.fromZone(zone_text))
        self._servers: list[DNSServer] = []

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"

    @property
    def received(self) -> list[tuple[str, str]]:
        """(name, type) of each query, in the order of their arrival."""
        return list(self._resolver.received)

    def __enter__(self) -> Self:
        silent = DNSLogger(log="-request,-reply,-truncated,-error")
        for is_tcp in (False, True):
            server = DNSServer(self._resolver, self.host, self.port, tcp=is_tcp, logger=silent)
            server.start_thread()
            self._servers.append(server)
        return self

    def __exit__(self, *_: object) -> None:
        while self._servers:
            server = self._servers.pop()
            server.stop()
            server.thread.join()
            server.server.server_close()


class _ZoneResolver(BaseResolver):  # type: ignore[misc]  # dnslib has no types
    """Answers of the zone, by name and type."""

    def __init__(self, records: Sequence[RR]) -> None:
        self.received: list[tuple[str, str]] = []
        self._records: dict[object, dict[int, list[RR]]] = defaultdict(lambda: defaultdict(list))
        for one in records:
            self._records[one.rname][one.rtype].append(one)

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        """Make the reply to a query."""
        name, qtype = request.q.qname, request.q.qtype
        self.received.append((str(name), QTYPE[qtype]))
        reply = request.reply(aa=0)
        if name not in self._records or request.q.qclass != CLASS.IN:
            reply.header.rcode = RCODE.NXDOMAIN
        for _ in range(len(self._records)):  # no chain of CNAMEs is longer
            held = self._records.get(name, {})
            if qtype in held or QTYPE.CNAME not in held:
                reply.add_answer(*held.get(qtype, ()))
                break
            reply.add_answer(*held[QTYPE.CNAME])
            name = held[QTYPE.CNAME][0].rdata.label
        return reply
