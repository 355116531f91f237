"""A process without its signals, inside the test: it starts and reloads configurations of one listen point."""

import asyncio
import socket
import struct
from pathlib import Path

import dns.message

from clusterdns.admin.http import AdminHttp
from clusterdns.corefile.errors import ErrorList
from clusterdns.corefile.load import Corefile, load, parse
from clusterdns.plugins.kubernetes.feed import Feed
from clusterdns.server.lastgood import LastGood
from clusterdns.server.listeners.takeover import Listeners
from clusterdns.server.reloading import Reloader
from testing.waiting import PATIENCE_SECONDS

WEB = "web.prod.svc.cluster.local."
MANIFEST = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: prod}
spec: {clusterIP: 10.96.0.10, clusterIPs: [10.96.0.10], ipFamilies: [IPv4], ports: [{port: 80}]}
"""


class Process:
    """The listeners, admin listeners and reloader of a process, without its signals."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.text = ""
        self.is_missing = False
        self.listeners = Listeners()
        self.admin = AdminHttp()
        self.last_good = LastGood(str(folder / "state"))
        self.reloader = Reloader(self._load, 53, self.last_good, self.listeners, self.admin)
        self._folder = folder

    def corefile(self, *lines: str, key: str = "cluster.local") -> str:
        """A block that serves the cluster of the manifest in the folder."""
        options = f"manifests {self._folder}/web.yaml"
        directives = "\n".join(lines)
        return (
            f"{key}:{self.port} {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n {options}\n}}\n{directives}\n}}\n"
        )

    async def reload(self, text: str) -> None:
        self.text = text
        await self.reloader._poll(is_requested=True)

    async def look(self, text: str | None) -> None:
        """What happens each interval; without a text there is no file."""
        self.text = text or ""
        self.is_missing = text is None
        await self.reloader._poll(is_requested=False)

    async def end(self) -> None:
        """Close the listeners and stop the running configuration."""
        await self.listeners.close(0)
        if self.reloader.running is not None:
            await self.reloader.running.stop()
        await self.admin.close()

    @property
    def feed(self) -> Feed:
        """The one that the running configuration keeps."""
        assert self.reloader.running is not None
        (feed,) = (kept for kept in self.reloader.running.configuration.shared._kept.values() if isinstance(kept, Feed))
        return feed

    def _load(self, errors: ErrorList) -> Corefile:
        if self.is_missing:
            return load(str(self._folder / "nowhere"), environ={}, errors=errors)
        return parse(self.text, "Corefile", {}, errors=errors)


async def ask(port: int, text: str = WEB, address: str = "127.0.0.1") -> list[str]:
    """Ask over UDP, and over TCP as well; both must say the same."""
    packet = dns.message.make_query(text, "A").to_wire()
    over_udp = await ask_over_udp(port, packet, address)
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(struct.pack(">H", len(packet)) + packet)
    async with asyncio.timeout(PATIENCE_SECONDS):
        over_tcp = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    writer.transport.abort()
    assert over_udp == over_tcp
    return [str(one) for rrset in dns.message.from_wire(over_udp).answer for one in rrset]


async def ask_over_udp(port: int, packet: bytes, address: str = "127.0.0.1") -> bytes:
    """Send a query over UDP, and return the reply."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect((address, port))
        await loop.sock_sendall(sock, packet)
        return await asyncio.wait_for(loop.sock_recv(sock, 4096), PATIENCE_SECONDS)
