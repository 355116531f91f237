"""Filters of UDP sockets in the kernel: classic BPF (SO_ATTACH_FILTER), which needs no rights.

A filter drops what cannot be a query (shorter than a header, or with the QR bit) and a share of the datagrams of some
sources, before they take space in the receive buffer. `server.listeners.fairness` chooses the sources. The kernel
counts what a filter drops like what does not fit into the buffer (`SocketMemory.dropped`).
"""

import ctypes
import errno
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

SHORTEST_BYTES = 12  # of a DNS message: its header (RFC 1035 §4.1.1)
MAX_SOURCES = 32  # of one filter, which is run for each datagram
IPV4_BYTES, IPV6_BYTES = 4, 8  # of a source: an IPv4 address, or the /64 of an IPv6 one

_ATTACH, _MEMORY = 26, 55  # SO_ATTACH_FILTER and SO_MEMINFO, which the socket module does not have
_DROPS = 8  # SK_MEMINFO_DROPS, the place in SO_MEMINFO's array
_UDP_BYTES = 8  # of the header, where the filter's data begin
_FLAGS = _UDP_BYTES + 2
_RESPONSE = 0x80
_NETWORK, _RANDOM = 0xFFF00000, 0xFFFFF000 + 56  # SKF_NET_OFF; SKF_AD_OFF + SKF_AD_RANDOM
_LOAD_LENGTH, _LOAD_BYTE, _LOAD_WORD, _SHIFT, _JUMP, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = (
    0x80, 0x30, 0x20, 0x74, 0x05, 0x15, 0x35, 0x45, 0x06,
)  # fmt: skip
_ACCEPT, _DROP = (_RETURN, 0, 0, 0xFFFFFFFF), (_RETURN, 0, 0, 0)
_REFUSED = (errno.ENOPROTOOPT, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS)  # by a sandbox or an old kernel


class SocketMemory(NamedTuple):
    """The receive buffer of a socket (SO_MEMINFO)."""

    used_bytes: int
    most_bytes: int
    dropped: int  # datagrams, by the filter or for want of space, since the socket was made; wraps at 2³²

    @property
    def used_share(self) -> float:
        """The share of the buffer that is in use."""
        return self.used_bytes / self.most_bytes if self.most_bytes else 0.0


_Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def attach(sock: socket.socket, shares: Mapping[bytes, float]) -> bool:
    """Attach a filter in place of the previous one; return whether this system has filters.

    `shares` has the share of datagrams to drop by source: an IPv4 address, or the first 8 bytes of an IPv6 address.
    """
    code = b"".join(struct.pack("=HBBI", *one) for one in program(shares))
    buffer = ctypes.create_string_buffer(code, len(code))
    try:
        sock.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer)))
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return False
    return True


def memory(sock: socket.socket) -> SocketMemory:
    """Read the state of a socket's receive buffer; all zeros where the system does not say."""
    try:
        counts = sock.getsockopt(socket.SOL_SOCKET, _MEMORY, 4 * (_DROPS + 1))
    except OSError:
        return SocketMemory(0, 0, 0)
    if len(counts) < 4 * (_DROPS + 1):
        return SocketMemory(0, 0, 0)
    used, most = struct.unpack_from("=II", counts)
    return SocketMemory(used, most, int(struct.unpack_from("=I", counts, 4 * _DROPS)[0]))


def program(shares: Mapping[bytes, float]) -> list[_Instruction]:
    """Write the filter. Raises ValueError for more than MAX_SOURCES."""
    if len(shares) > MAX_SOURCES:
        raise ValueError(f"{len(shares)} sources; a filter has at most {MAX_SOURCES}")
    code: list[_Instruction] = [
        (_LOAD_LENGTH, 0, 0, 0),
        (_AT_LEAST, 1, 0, _UDP_BYTES + SHORTEST_BYTES),
        _DROP,
        (_LOAD_BYTE, 0, 0, _FLAGS),
        (_ANY_BIT, 0, 1, _RESPONSE),
        _DROP,
    ]
    fours = [one for source, share in shares.items() if len(source) == IPV4_BYTES for one in _of_ipv4(source, share)]
    sixes = [one for source, share in shares.items() if len(source) == IPV6_BYTES for one in _of_ipv6(source, share)]
    if fours or sixes:
        fours = [(_LOAD_WORD, 0, 0, _NETWORK + 12), *fours, _ACCEPT]
        code += [(_LOAD_BYTE, 0, 0, _NETWORK), (_SHIFT, 0, 0, 4), (_EQUAL, 1, 0, 4), (_JUMP, 0, 0, len(fours))]
        code += [*fours, *sixes]
    return [*code, _ACCEPT]


def _of_ipv4(source: bytes, share: float) -> list[_Instruction]:
    """Drop a share of a source, which is in the accumulator."""
    return [(_EQUAL, 0, 4, int.from_bytes(source, "big")), *_drop_share(share)]


def _of_ipv6(source: bytes, share: float) -> list[_Instruction]:
    return [
        (_LOAD_WORD, 0, 0, _NETWORK + 8),
        (_EQUAL, 0, 6, int.from_bytes(source[:4], "big")),
        (_LOAD_WORD, 0, 0, _NETWORK + 12),
        (_EQUAL, 0, 4, int.from_bytes(source[4:], "big")),
        *_drop_share(share),
    ]


def _drop_share(share: float) -> list[_Instruction]:
    limit = min(0xFFFFFFFF, int(share * 2**32))
    return [(_LOAD_WORD, 0, 0, _RANDOM), (_AT_LEAST, 0, 1, limit), _ACCEPT, _DROP]
