"""The addresses of this host's network interfaces, read from the Linux kernel over netlink.

The standard library lists interfaces without their addresses, and the ioctl for addresses returns one IPv4 address per
interface.
"""

import ipaddress
import socket
import struct

_RTM_NEWADDR, _RTM_GETADDR, _NLMSG_DONE, _NLMSG_ERROR = 20, 22, 3, 2
_NLM_F_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2

_MESSAGE = struct.Struct("=IHHII")  # length, type, flags, sequence, port (linux/netlink.h)
_ADDRESS = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, interface index (linux/if_addr.h)
_ATTRIBUTE = struct.Struct("=HH")  # length, type

_RECEIVE_BYTES = 65536
_TIMEOUT_SECONDS = 5.0


def interface_addresses() -> dict[str, list[str]]:
    """Return the addresses of each interface by the interface's name, in the kernel's order.

    Link-local IPv6 addresses have their zone (`fe80::1%eth0`). Raises OSError when the kernel refuses the request.
    """
    names = dict(socket.if_nameindex())
    found: dict[str, list[str]] = {name: [] for name in names.values()}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_TIMEOUT_SECONDS)
        request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        kernel.send(_MESSAGE.pack(_MESSAGE.size + len(request), _RTM_GETADDR, _NLM_F_REQUEST_DUMP, 1, 0) + request)
        is_done = False
        while not is_done:
            addresses, is_done = read_addresses(kernel.recv(_RECEIVE_BYTES))
            for index, packed in addresses:
                if index in names:
                    found[names[index]].append(_text(packed, names[index]))
    return found


def read_addresses(datagram: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Read the (interface index, packed address) pairs of one datagram, and whether it is the last. Raises OSError."""
    found: list[tuple[int, bytes]] = []
    start = 0
    while start + _MESSAGE.size <= len(datagram):
        size, kind, _, _, _ = _MESSAGE.unpack_from(datagram, start)
        if kind == _NLMSG_DONE:
            return found, True
        if kind == _NLMSG_ERROR or size < _MESSAGE.size:
            raise OSError("the kernel refused to list the interfaces' addresses")
        if kind == _RTM_NEWADDR:
            found += _read_address(datagram[start + _MESSAGE.size : start + size])
        start += _aligned(size)
    return found, False


def _read_address(message: bytes) -> list[tuple[int, bytes]]:
    """Read one address or none: IFA_LOCAL if present, because IFA_ADDRESS is the peer of a point-to-point link."""
    _, _, _, _, index = _ADDRESS.unpack_from(message)
    attributes: dict[int, bytes] = {}
    start = _ADDRESS.size
    while start + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, start)
        if size < _ATTRIBUTE.size:
            raise OSError("the kernel's list of addresses is malformed")
        attributes[kind] = message[start + _ATTRIBUTE.size : start + size]
        start += _aligned(size)
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    return [(index, packed)] if packed and len(packed) in (4, 16) else []


def _aligned(size: int) -> int:
    return size + 3 & ~3


def _text(packed: bytes, interface: str) -> str:
    address = ipaddress.ip_address(packed)
    return f"{address}%{interface}" if address.version == 6 and address.is_link_local else str(address)
