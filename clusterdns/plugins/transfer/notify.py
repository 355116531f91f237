"""NOTIFY: telling secondaries that a zone has changed (RFC 1996).

Each secondary gets up to three datagrams, from a task of its own. One that does not answer finds the change when its
refresh timer expires, so no more than time is lost. `directive` decides which secondaries are notified of which zones.
"""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress

from clusterdns.upstream.address import Address
from clusterdns.upstream.messages import make_query, read_header
from clusterdns.wire import codes
from clusterdns.wire.header import Malformed
from clusterdns.wire.name import to_text

TRIES = 3
TRY_SECONDS = 2.0

_NOTIFY = 4  # the opcode
_QUEUED_DATAGRAMS = 16

log = logging.getLogger("clusterdns.plugin.transfer")


class Notifier:
    """The notifications under way."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[bytes, Address], asyncio.Task[None]] = {}

    def notify(self, zone: bytes, secondaries: Iterable[Address], source: str) -> None:
        """Notify secondaries of a zone; a notification of the same zone that is under way begins again."""
        for secondary in secondaries:
            key = (zone, secondary)
            previous = self._tasks.pop(key, None)
            if previous is not None:
                previous.cancel()
            self._tasks[key] = asyncio.create_task(self._notify(zone, secondary, source), name="notify")

    async def stop(self) -> None:
        """Cancel every notification."""
        for task in self._tasks.values():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    async def _notify(self, zone: bytes, secondary: Address, source: str) -> None:
        try:
            problem = await _exchange(zone, secondary, source)
        except OSError as error:
            problem = error.strerror or str(error)
        if problem:
            log.error("NOTIFY for zone %s was not accepted by %s: %s", to_text(zone), secondary.host_port, problem)


async def _exchange(zone: bytes, secondary: Address, source: str) -> str:
    """Send NOTIFY until the secondary accepts it; return what went wrong, or "". Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, replies = await loop.create_datagram_endpoint(
        _Replies, local_addr=(source, 0) if source else None, remote_addr=secondary.socket_address()[:2]
    )
    try:
        problem = "no reply"
        for _ in range(TRIES):
            message = make_query(zone, codes.SOA, opcode=_NOTIFY, aa=1)  # RFC 1996 §3.6, §3.7
            transport.sendto(message.pack())
            rcode = await _response_code(replies.queue, message.header.id)
            if rcode == codes.NOERROR:
                return ""
            if rcode is not None:
                problem = codes.rcode_text(rcode)
        return problem
    finally:
        transport.close()


async def _response_code(queue: "asyncio.Queue[bytes]", message_id: int) -> int | None:
    """Wait for the reply to a NOTIFY and return its response code; None where no reply arrives in time."""
    try:
        async with asyncio.timeout(TRY_SECONDS):
            while True:
                packet = await queue.get()
                with suppress(Malformed):
                    header = read_header(packet)
                    if header.qr and header.opcode == _NOTIFY and header.id == message_id:
                        return int(header.rcode)
    except TimeoutError:
        return None


class _Replies(asyncio.DatagramProtocol):
    """The datagrams received from one secondary."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED_DATAGRAMS)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self.queue.full():
            self.queue.put_nowait(data)
