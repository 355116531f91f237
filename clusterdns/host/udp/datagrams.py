"""Datagrams of a UDP socket, received and answered in batches.

`recvmmsg` and `sendmmsg` take one system call for up to 64 datagrams. The standard library has neither, so ctypes calls
them, on buffers that are made once per socket. A reply is sent with the address and control buffers of the query that
it answers: to its client, from the local address that it was sent to (IP_PKTINFO, RFC 3542 §6.1). No Python object is
made for either. Where the kernel lacks or forbids the calls, `recvmsg` and `sendmsg` do the same one by one.

`server.listeners.udp` decides what is answered; this module does not know DNS.
"""

import ctypes
import errno
import functools
import mmap
import os
import socket
import struct
from typing import Any, Protocol

from clusterdns.host.sockets import IN6_PKTINFO_BYTES, IP_PKTINFO, local_address, receive_local_addresses

BATCH = 64  # datagrams per call, so that TCP and the watch streams are served under load
MAX_DATAGRAM_BYTES = 4096  # the kernel cuts off the rest
SLOT_BYTES = MAX_DATAGRAM_BYTES + 64  # with a power of two, all slots would share a few lines of the CPU's cache

Ancillary = list[tuple[int, int, bytes]]

_NAME_BYTES = 32  # struct sockaddr_in6 has 28
_CONTROL_BYTES = socket.CMSG_SPACE(20)  # struct in6_pktinfo; in_pktinfo has 12
_CONTROL_START = socket.CMSG_LEN(0)
_LINK_LOCAL = struct.unpack("=H", b"\xfe\x80")[0]
_PORT = struct.Struct("!H")
_SCOPE = struct.Struct("=I")
_IN_PKTINFO_BYTES = 12
_MISSING = (errno.ENOSYS, errno.EPERM, errno.EACCES)  # an old kernel; a seccomp filter

# PyDLL keeps the interpreter's lock: these calls do not block, and giving the lock away costs more than they take
_libc = ctypes.PyDLL(None, use_errno=True)
_HAS_FUNCTIONS = hasattr(_libc, "recvmmsg") and hasattr(_libc, "sendmmsg")
if _HAS_FUNCTIONS:
    _libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
    _libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class _Buffer(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_bytes", ctypes.c_uint32),
        ("buffers", ctypes.c_void_p),
        ("buffer_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_bytes", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = (("header", _Header), ("received_bytes", ctypes.c_uint))


_ZEROS = memoryview((ctypes.c_uint32 * BATCH)()).cast("B").cast("I")
_FULL = memoryview((ctypes.c_size_t * BATCH)(*[MAX_DATAGRAM_BYTES] * BATCH)).cast("B").cast("L")  # size_t


class Datagrams(Protocol):
    """A batch of datagrams: received, answered in place, and sent back, all in one turn of the event loop.

    The datagram of slot N begins at N × SLOT_BYTES of `payload`. Its reply is written over it, and the reply's size to
    `reply_bytes[N]`.
    """

    payload: mmap.mmap
    reply_bytes: "memoryview[int] | list[int]"

    def receive(self) -> list[int]:
        """Receive up to BATCH datagrams; return their sizes, none when the receive buffer is empty. Raises OSError."""

    def send(self, first: int, end: int) -> list[tuple[int, OSError]]:
        """Send the replies in these slots; return the slots whose reply could not be sent, with the reason."""

    def client(self, slot: int) -> Any:
        """Return the address that a datagram came from, as `recvfrom` does."""

    def server(self, slot: int) -> str:
        """Return the address that a datagram was sent to."""

    def source(self, slot: int) -> Ancillary:
        """Return the control messages with which `sendmsg` sends from the address that a datagram was sent to."""


def new_payload() -> mmap.mmap:
    """Return memory for the datagrams of one batch. All sockets of an event loop share it."""
    return mmap.mmap(-1, BATCH * SLOT_BYTES)


def datagrams(sock: socket.socket, payload: mmap.mmap) -> Datagrams:
    """Return the batches of a non-blocking UDP socket."""
    host = sock.getsockname()[0]
    is_wildcard = host in ("0.0.0.0", "::")
    if is_wildcard:
        receive_local_addresses(sock)
    return (ManyAtOnce if _has_many() else OneByOne)(sock, payload, is_wildcard=is_wildcard)


class ManyAtOnce:
    """Datagrams by `recvmmsg` and `sendmmsg`."""

    def __init__(self, sock: socket.socket, payload: mmap.mmap, *, is_wildcard: bool) -> None:
        self.payload = payload
        self._descriptor = sock.fileno()
        self._is_ipv6 = sock.family == socket.AF_INET6
        self._is_wildcard = is_wildcard
        self._host: str = sock.getsockname()[0]
        self._names = bytearray(BATCH * _NAME_BYTES)
        self._control = bytearray(BATCH * _CONTROL_BYTES)
        self._buffers = (_Buffer * BATCH)()
        self._messages = (_Message * BATCH)()
        self._start = ctypes.addressof(self._messages)
        self._link_buffers()
        words = memoryview(self._messages).cast("B").cast("I")
        self._received_bytes = words[_Message.received_bytes.offset // 4 :: ctypes.sizeof(_Message) // 4]
        self.reply_bytes: memoryview[int] | list[int] = memoryview(self._buffers).cast("B").cast("L")[1::2]
        # of the local address in each control message: the interface index, and the first half-word
        index = _CONTROL_START + (16 if self._is_ipv6 else 0)
        self._interfaces = memoryview(self._control).cast("I")[index // 4 :: _CONTROL_BYTES // 4]
        self._prefixes = memoryview(self._control).cast("H")[_CONTROL_START // 2 :: _CONTROL_BYTES // 2]

    def _link_buffers(self) -> None:
        """Point each message to its buffers. The kernel changes the sizes alone, to what the socket's family needs."""
        payload, names, control = _address(self.payload), _address(self._names), _address(self._control)
        buffers = ctypes.addressof(self._buffers)
        for slot in range(BATCH):
            self._buffers[slot] = _Buffer(payload + slot * SLOT_BYTES, MAX_DATAGRAM_BYTES)
            self._messages[slot].header = _Header(
                names + slot * _NAME_BYTES, _NAME_BYTES, buffers + slot * ctypes.sizeof(_Buffer), 1,
                control + slot * _CONTROL_BYTES, _CONTROL_BYTES if self._is_wildcard else 0,
            )  # fmt: skip

    def receive(self) -> list[int]:
        """See `Datagrams`."""
        count: int = _libc.recvmmsg(self._descriptor, self._start, BATCH, 0, None)
        if count < 0:
            if (number := ctypes.get_errno()) in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(number, os.strerror(number))
        if self._is_wildcard:
            self._clear_interfaces(count)
        return self._received_bytes[:count].tolist()

    def send(self, first: int, end: int) -> list[tuple[int, OSError]]:
        """See `Datagrams`."""
        failures = []
        start = first
        while first < end:
            count = _libc.sendmmsg(self._descriptor, self._start + first * ctypes.sizeof(_Message), end - first, 0)
            if count < 0:
                number = ctypes.get_errno()
                failures.append((first, OSError(number, os.strerror(number))))
                count = 1
            first += count
        self.reply_bytes[start:end] = _FULL[start:end]
        return failures

    def client(self, slot: int) -> Any:
        """See `Datagrams`."""
        start = slot * _NAME_BYTES
        name = self._names[start : start + _NAME_BYTES]
        port = _PORT.unpack_from(name, 2)[0]
        if not self._is_ipv6:
            return socket.inet_ntop(socket.AF_INET, name[4:8]), port
        flow = int.from_bytes(name[4:8], "big")
        return socket.inet_ntop(socket.AF_INET6, name[8:24]), port, flow, _SCOPE.unpack_from(name, 24)[0]

    def server(self, slot: int) -> str:
        """See `Datagrams`."""
        return local_address(self._local(slot)) if self._is_wildcard else self._host

    def source(self, slot: int) -> Ancillary:
        """See `Datagrams`."""
        if not self._is_wildcard:
            return []
        if self._is_ipv6:
            return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, self._local(slot))]
        return [(socket.IPPROTO_IP, IP_PKTINFO, self._local(slot))]

    def _local(self, slot: int) -> bytes:
        """Return the `struct in_pktinfo` or `in6_pktinfo` of a datagram."""
        start = slot * _CONTROL_BYTES + _CONTROL_START
        return bytes(self._control[start : start + (IN6_PKTINFO_BYTES if self._is_ipv6 else _IN_PKTINFO_BYTES)])

    def _clear_interfaces(self, count: int) -> None:
        """Let the routing table choose the interface of each reply, except for link-local addresses, which need one."""
        if self._is_ipv6 and _LINK_LOCAL in (prefixes := self._prefixes[:count].tolist()):
            for slot, prefix in enumerate(prefixes):
                if prefix != _LINK_LOCAL:
                    self._interfaces[slot] = 0
        else:
            self._interfaces[:count] = _ZEROS[:count]


class OneByOne:
    """Datagrams by `recvmsg` and `sendmsg`, at less than two thirds of the throughput."""

    def __init__(self, sock: socket.socket, payload: mmap.mmap, *, is_wildcard: bool) -> None:
        self.payload = payload
        self.reply_bytes: memoryview[int] | list[int] = [0] * BATCH
        self._socket = sock
        self._host: str = sock.getsockname()[0]
        self._ancillary_bytes = _CONTROL_BYTES if is_wildcard else 0
        self._slots = [memoryview(payload)[start : start + SLOT_BYTES] for start in range(0, len(payload), SLOT_BYTES)]
        self._clients: list[Any] = [None] * BATCH
        self._sources: list[Ancillary] = [[] for _ in range(BATCH)]

    def receive(self) -> list[int]:
        """See `Datagrams`."""
        sizes: list[int] = []
        for slot, buffer in enumerate(self._slots):
            try:
                size, ancillary, _, self._clients[slot] = self._socket.recvmsg_into(
                    [buffer[:MAX_DATAGRAM_BYTES]], self._ancillary_bytes
                )
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                if sizes:
                    break
                raise
            self._sources[slot] = [(level, kind, _cleared(data)) for level, kind, data in ancillary]
            sizes.append(size)
        return sizes

    def send(self, first: int, end: int) -> list[tuple[int, OSError]]:
        """See `Datagrams`."""
        failures = []
        for slot in range(first, end):
            reply = self._slots[slot][: self.reply_bytes[slot]]
            try:
                self._socket.sendmsg((reply,), self._sources[slot], 0, self._clients[slot])
            except OSError as error:
                failures.append((slot, error))
        return failures

    def client(self, slot: int) -> Any:
        """See `Datagrams`."""
        return self._clients[slot]

    def server(self, slot: int) -> str:
        """See `Datagrams`."""
        return local_address(self._sources[slot][0][2]) if self._sources[slot] else self._host

    def source(self, slot: int) -> Ancillary:
        """See `Datagrams`."""
        return self._sources[slot]


def _cleared(local: bytes) -> bytes:
    """Return `struct in_pktinfo` or `in6_pktinfo` without the interface, which only a link-local address needs."""
    if len(local) == IN6_PKTINFO_BYTES:
        return local if local.startswith(b"\xfe\x80") else local[:16] + bytes(4)
    return bytes(4) + local[4:]


def _address(buffer: bytearray | mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


@functools.cache
def _has_many() -> bool:
    """Return whether this kernel, C library and seccomp filter have `recvmmsg` and `sendmmsg`."""
    if not _HAS_FUNCTIONS:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as probe:
        for call, arguments in ((_libc.recvmmsg, (None,)), (_libc.sendmmsg, ())):
            message = _Message()
            if call(probe.fileno(), ctypes.addressof(message), 1, 0, *arguments) < 0 and ctypes.get_errno() in _MISSING:
                return False
    return True
