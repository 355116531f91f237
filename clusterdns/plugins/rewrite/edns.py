"""The `edns0` rules of `rewrite`: EDNS options of the query that is passed on, set, replaced, added or taken out.

The query gets an OPT if it had none. Codes that a `local` rule names come back to clients that use EDNS, unless the
rule says `revert`, which makes client and reply unaware of it. What an upstream says stays as it is.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from clusterdns.chain import Query
from clusterdns.chain.query import plain_ip
from clusterdns.plugins.rewrite.rules import Applied, Draft
from clusterdns.wire.edns import iter_options, pack_option
from clusterdns.wire.name import to_text

SET, REPLACE, APPEND, UNSET = "set", "replace", "append", "unset"
ACTIONS = (SET, REPLACE, APPEND, UNSET)
NEW_OPT_UDP_BYTES = 4096  # of the OPT of a query that had none

Content = Callable[[Query], bytes | None]  # what the option is to hold; None: the rule is not for this query


@dataclass(frozen=True)
class EdnsRule:
    """One change of one option."""

    action: str
    code: int
    content: Content
    is_fixed: bool = True
    reverts: bool = False
    adds_to_same: bool = True  # whether `append` goes on where the option is there already

    def apply(self, query: Query, name_text: str) -> Applied | None:
        """See rewrite_rules.Rule."""
        options = list(iter_options(query.options))
        here = next((at for at, (code, _) in enumerate(options) if code == self.code), -1)
        original = b""
        if self.action == UNSET:
            options = [one for one in options if one[0] != self.code]
        else:
            content = self.content(query)
            if content is None:
                return None
            rewritten = (self.code, pack_option(self.code, content))
            if here >= 0 and self.action != APPEND:
                original = options[here][1]
                options[here] = rewritten
            elif self.action == REPLACE or (here >= 0 and not self.adds_to_same):
                return None
            else:
                options.append(rewritten)
        changed = query.asking(query.name, query.qtype, query.qclass)
        changed.question = query.question
        changed.options = b"".join([whole for _, whole in options])
        if not query.has_edns:
            changed.has_edns = True
            changed.udp_bytes = NEW_OPT_UDP_BYTES
        return Applied(changed, name_text, (Reverted(self.code, original),) if self.reverts else ())


@dataclass(frozen=True)
class Reverted:
    """`revert`: the option as the client sent it, or not at all."""

    code: int
    original: bytes  # the whole option; empty where the client sent none

    def respond(self, draft: Draft) -> None:
        """See rewrite_rules.Response."""
        draft.reply.options = self.undone(draft.reply.options)

    def undone(self, options: bytes) -> bytes:
        """The options with this one as it was."""
        return b"".join([self.original if code == self.code else whole for code, whole in iter_options(options)])


def echoed(query: Query, codes_echoed: frozenset[int], responses: Sequence[object]) -> bytes:
    """The options of the passed-on query that come back to the client, once what is to be reverted has been."""
    options = b"".join([whole for code, whole in iter_options(query.options) if code in codes_echoed])
    for response in reversed(responses):
        if isinstance(response, Reverted):
            options = response.undone(options)
    return options


def subnet(v4_bits: int, v6_bits: int) -> Content:
    """The client's network of this many bits (RFC 7871 §6)."""

    def content(query: Query) -> bytes:
        address = query.client_ip
        bits = v4_bits if address.version == 4 else v6_bits
        network = ip_network((address, bits), strict=False)
        # CoreDNS's message library leaves out the bytes that the prefix does not reach, as the RFC demands
        packed = network.network_address.packed[: (bits + 7) // 8]
        return bytes((0, 1 if address.version == 4 else 2, bits, 0)) + packed

    return content


def server_address(query: Query, bound: Sequence[str]) -> bytes | None:
    """The address that the client asked: the only one that is bound, or else the one that replies to it come from."""
    client = query.client_ip
    own = [one for one in map(plain_ip, bound)
           if one.version == client.version and not one.is_unspecified]  # fmt: skip
    if len(own) == 1:
        return own[0].packed
    family = socket.AF_INET if client.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(client), query.client[1] or 53))  # UDP: nothing is sent, the route is chosen
        except OSError:
            return own[0].packed if own else None
        return plain_ip(probe.getsockname()[0]).packed


def variable(word: str, bound: Sequence[str], port: int) -> tuple[Content, bool]:
    """What a variable stands for, and whether it depends on the question alone. Raises KeyError for another word."""
    contents: dict[str, tuple[Content, bool]] = {
        "qname": (lambda query: to_text(query.question[:-4]).encode(), True),
        "qtype": (lambda query: query.qtype.to_bytes(2, "big"), True),
        "protocol": (lambda query: query.transport.encode(), True),  # answers are kept by transport
        "server_port": (lambda query: port.to_bytes(2, "big"), True),
        "client_ip": (lambda query: query.client_ip.packed, False),
        "client_port": (lambda query: query.client[1].to_bytes(2, "big"), False),
        "server_ip": (lambda query: server_address(query, bound), False),
    }
    return contents[word]


def metadata(label: str) -> Content:
    """What another plugin knows of the query; nothing where it does not."""
    return lambda query: (query.labels or {}).get(label, "").encode() or None


def fixed(content: bytes) -> Content:
    """Always the same."""
    return lambda query: content
