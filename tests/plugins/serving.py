"""A configuration that runs inside the test: started, asked through its dispatch, and served over TCP where needed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.flags
import dns.message

from clusterdns.corefile.load import parse
from clusterdns.host.sockets import bind_tcp
from clusterdns.server.assembly import assemble
from clusterdns.server.instance import Instance
from clusterdns.server.listeners import tcp
from clusterdns.telemetry.metrics import Registry

CLIENT = ("127.0.0.1", 40222)


class Running:
    """One configuration with one listen point."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        point = instance.configuration.listen_points[0]
        self.dispatch, self.udp = instance.dispatch_for(point, "udp", socket.AF_INET)
        _, self.tcp = instance.dispatch_for(point, "tcp", socket.AF_INET)

    async def raw(self, packet: bytes, transport: str = "udp", client: tuple[str, int] = CLIENT) -> bytes:
        """The reply to a packet; of several messages the first."""
        reply = self.dispatch.miss(packet, client, "127.0.0.1", self.udp if transport == "udp" else self.tcp)
        if reply is not None and not isinstance(reply, bytes):
            reply = await reply
        assert reply is not None
        return reply

    async def ask(
        self, qname: str, qtype: str = "A", *, do: bool = False, transport: str = "udp",
        client: tuple[str, int] = CLIENT,
    ) -> dns.message.Message:  # fmt: skip
        """The reply to a question, parsed."""
        packet = question(qname, qtype, do=do).to_wire()
        return dns.message.from_wire(await self.raw(packet, transport, client))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[str, int]]:
        """The same over TCP on the loopback, at the given address."""
        sock = bind_tcp("127.0.0.1", 0)
        address: tuple[str, int] = sock.getsockname()
        self.listener = tcp.TcpListener(sock, self.dispatch, self.tcp, clock=lambda: 0.0)  # no connection is slow
        self.listener.start(asyncio.get_running_loop())
        try:
            yield address
        finally:
            await self.listener.close(0)


def question(qname: str, qtype: str, *, do: bool = False) -> dns.message.QueryMessage:
    message = dns.message.make_query(qname, qtype, use_edns=0, payload=4096, want_dnssec=do)
    message.flags &= ~dns.flags.RD
    return message


@asynccontextmanager
async def running(corefile: str, folder: Path, registry: Registry | None = None) -> AsyncIterator[Running]:
    """A server block's inside as a configuration, its files in the folder."""
    registry = registry or Registry()
    text = f". {{\n    root {folder}\n{corefile}\n}}\n"
    instance = Instance(assemble(parse(text, "Corefile", {}), registry, dns_port=5353), "")
    try:
        await instance.prepare()
        await instance.start()
        await instance.serving()
        yield Running(instance)
    finally:
        await instance.stop()
