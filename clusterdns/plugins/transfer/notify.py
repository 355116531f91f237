"""NOTIFY: telling other name servers that a zone is another now (RFC 1996).

Each server is told in a task of its own, in up to three datagrams; who does not answer is told again by its own refresh
timer, so all that is lost is time. `transfer` says whom, and about what.
"""

import asyncio
import logging
import secrets
import struct
from collections.abc import Iterable
from contextlib import suppress

from clusterdns.upstream.address import Address
from clusterdns.wire import codes
from clusterdns.wire.header import AA, HEADER_BYTES, OPCODE_MASK, QR
from clusterdns.wire.name import to_text

TRIES = 3
TRY_SECONDS = 2.0

_NOTIFY = 4 << 11
_HEADER = struct.Struct(">HHHHHH")
_KIND = struct.Struct(">HH")

log = logging.getLogger("clusterdns.plugin.transfer")


class Notifier:
    """The notifications under way."""

    def __init__(self, try_seconds: float = TRY_SECONDS) -> None:
        self._try_seconds = try_seconds
        self._tasks: dict[tuple[bytes, Address], asyncio.Task[None]] = {}

    def notify(self, zone: bytes, servers: Iterable[Address], source: str) -> None:
        """Tell the servers of a zone; whoever is still being told of it is told anew."""
        for server in servers:
            key = (zone, server)
            before = self._tasks.pop(key, None)
            if before is not None:
                before.cancel()
            self._tasks[key] = asyncio.create_task(self._tell(zone, server, source), name="notify")

    async def stop(self) -> None:
        """End it."""
        for task in self._tasks.values():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    async def _tell(self, zone: bytes, server: Address, source: str) -> None:
        try:
            problem = await self._exchange(zone, server, source)
        except OSError as error:
            problem = error.strerror or str(error)
        if problem:
            log.error("NOTIFY for zone %s was not accepted by %s: %s", to_text(zone), server.host_port, problem)

    async def _exchange(self, zone: bytes, server: Address, source: str) -> str:
        """What went wrong; empty where the server has accepted. Raises OSError."""
        loop = asyncio.get_running_loop()
        transport, replies = await loop.create_datagram_endpoint(
            _Replies, local_addr=(source, 0) if source else None, remote_addr=server.socket_address()[:2]
        )
        try:
            problem = "no reply"
            for _ in range(TRIES):
                ident = secrets.randbits(16)
                head = _HEADER.pack(ident, _NOTIFY | AA, 1, 0, 0, 0)  # RFC 1996 §3.6, §3.7
                message = head + zone + _KIND.pack(codes.SOA, codes.IN)
                transport.sendto(message)
                flags = await self._reply(replies.queue, message)
                if flags is None:
                    continue
                rcode = flags & 0xF
                if rcode == codes.NOERROR:
                    return ""
                problem = codes.rcode_text(rcode)
            return problem
        finally:
            transport.close()

    async def _reply(self, queue: "asyncio.Queue[bytes]", sent: bytes) -> int | None:
        """The flags of the reply to this message; None where none comes in time."""
        try:
            async with asyncio.timeout(self._try_seconds):
                while True:
                    reply = await queue.get()
                    flags = int.from_bytes(reply[2:4], "big")
                    is_kind = flags & QR and flags & OPCODE_MASK == _NOTIFY
                    if len(reply) >= HEADER_BYTES and reply[:2] == sent[:2] and is_kind:
                        return flags
        except TimeoutError:
            return None


class _Replies(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(16)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.queue.full():
            self.queue.put_nowait(data)
