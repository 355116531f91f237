"""The header of DNS messages: its flags (RFC 1035 §4.1.1), and the sizes that bound a message.

`query` reads messages of clients, `decode` those of upstream servers, `encode` and `stream` write ours.
"""

HEADER_BYTES = 12
OWN_UDP_BYTES = 1232  # advertised and never exceeded, so that no path fragments our messages (DNS flag day 2020)
CLASSIC_UDP_BYTES = 512  # the limit without EDNS (RFC 1035 §2.3.4), the minimum with it (RFC 6891 §6.2.3)
MAX_STREAM_BYTES = 65535
OPT_BYTES = 11  # an OPT record without options

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
OPCODE_MASK, RCODE_MASK = 0x7800, 0x000F
DO = 0x8000  # of the EDNS flags (RFC 3225 §3)

MAX_LABELS = 127


class Malformed(ValueError):
    """Bytes that are not a well-formed message."""
