"""A DNS server for stub resolvers: it answers by a table, and prints each name that it is asked for.

Run as `python search_server.py HOST TABLE`; TABLE is JSON: name → type → NOERROR, NODATA or a response code. Other
names are NXDOMAIN. The first line is `ready`, then one line per query: name and type.
"""

import json
import socket
import sys

from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSRecord

HOST, TABLE = sys.argv[1], json.loads(sys.argv[2])


def reply_to(packet: bytes) -> bytes:
    """Answer a query by the table."""
    query = DNSRecord.parse(packet)
    name, qtype = str(query.q.qname).lower(), QTYPE[query.q.qtype]
    code = TABLE.get(name, {}).get(qtype, "NXDOMAIN")
    print(name, qtype, flush=True)
    reply = query.reply()
    if code == "NOERROR":
        reply.add_answer(
            RR(query.q.qname, query.q.qtype, rdata=A("192.0.2.1") if qtype == "A" else AAAA("2001:db8::1"))
        )
    elif code != "NODATA":
        reply.header.rcode = getattr(RCODE, code)
    packed: bytes = reply.pack()
    return packed


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind((HOST, 53))
    print("ready", flush=True)
    while True:
        packet, client = sock.recvfrom(4096)
        sock.sendto(reply_to(packet), client)
