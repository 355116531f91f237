"""The `edns0` rules of `rewrite`: they set, replace, append or remove EDNS options of the query that is passed on.

A query without OPT gets one. The reply repeats the options that `local` rules name to clients that use EDNS, unless the
rule has `revert`, which removes the change from the reply. EDNS options of an upstream's reply stay as they are.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_network

import msgspec

from clusterdns.chain import Query
from clusterdns.plugins.rewrite.rule import ReplyDraft, RuleEffect
from clusterdns.wire import codes
from clusterdns.wire.edns import OPTION_HEADER_BYTES, iter_options, pack_option
from clusterdns.wire.name import to_text
from clusterdns.wire.query import QueryMessage, read

SET, REPLACE, APPEND, UNSET = "set", "replace", "append", "unset"
ACTIONS = (SET, REPLACE, APPEND, UNSET)
NEW_OPT_UDP_BYTES = 4096  # of the OPT of a query that had none
_FAMILY_BYTES = 2
_SUBNET_FIXED_BYTES = 4  # family, source prefix length, scope prefix length (RFC 7871 §6)

Content = Callable[[Query], bytes | None]  # makes the content of the option; None: the rule does not match


class EdnsRule(msgspec.Struct, frozen=True):
    """`edns0`: changes one EDNS option of the query."""

    action: str
    code: int
    content: Content
    is_reusable: bool = True
    reverts: bool = False
    appends_duplicate: bool = True  # `append` adds a second option of the same code

    def apply(self, query: Query, name_text: str) -> RuleEffect | None:
        """Apply the rule (see RewriteRule)."""
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
            elif self.action == REPLACE or (here >= 0 and not self.appends_duplicate):
                return None
            else:
                options.append(rewritten)
        changed = query.asking(query.name, query.qtype, query.qclass)
        changed.question = query.question
        changed.options = b"".join([whole for _, whole in options])
        if not query.has_edns:
            changed.has_edns = True
            changed.udp_bytes = NEW_OPT_UDP_BYTES
        return RuleEffect(changed, name_text, (RevertedOption(self.code, original),) if self.reverts else ())


class RevertedOption(msgspec.Struct, frozen=True):
    """`revert`: puts the option of the client back into the reply, or removes it where the client sent none."""

    code: int
    original: bytes  # the whole option; empty where the client sent none

    def change(self, draft: ReplyDraft) -> None:
        """Change the draft (see ReplyChange)."""
        draft.reply.options = self.revert(draft.reply.options)

    def revert(self, options: bytes) -> bytes:
        """Return the options with this one as the client sent it."""
        return b"".join([self.original if code == self.code else whole for code, whole in iter_options(options)])


def echoed_options(rewritten: Query, echoed_codes: frozenset[int], changes: Sequence[object]) -> bytes:
    """Return the options of the rewritten query that the reply repeats, after the changes that revert some of them."""
    options = b"".join([whole for code, whole in iter_options(rewritten.options) if code in echoed_codes])
    for change in reversed(changes):
        if isinstance(change, RevertedOption):
            options = change.revert(options)
    return options


def subnet(v4_bits: int, v6_bits: int) -> Content:
    """Make a Client Subnet option: the client's network of this many bits, or of fewer where the client sent fewer.

    A client that sent a prefix of 0 bits wants no address of it sent; its option stays as it is (RFC 7871 §7.1.2).
    """

    def content(query: Query) -> bytes:
        address = query.client_ip
        bits = v4_bits if address.version == 4 else v6_bits
        shortest = min(_client_subnets(query), key=_prefix_bits, default=None)
        if shortest is not None:
            bits = min(bits, _prefix_bits(shortest))
            if not bits:
                return shortest[:_FAMILY_BYTES] + b"\0\0"
        network = ip_network((address, bits), strict=False)
        # only the bytes that the prefix covers, as the RFC requires
        packed = network.network_address.packed[: (bits + 7) // 8]
        return bytes((0, 1 if address.version == 4 else 2, bits, 0)) + packed

    return content


def _client_subnets(query: Query) -> list[bytes]:
    """Return the contents of the Client Subnet options that the client sent, whatever earlier rules made of them."""
    sent = read(query.packet, QueryMessage)
    if not isinstance(sent, QueryMessage):
        return []
    contents = [whole[OPTION_HEADER_BYTES:] for code, whole in iter_options(sent.options) if code == codes.ECS]
    return [one for one in contents if len(one) >= _SUBNET_FIXED_BYTES]


def _prefix_bits(content: bytes) -> int:
    """Return the SOURCE PREFIX-LENGTH of a Client Subnet option."""
    return content[_FAMILY_BYTES]


def variable(word: str, port: int) -> tuple[Content, bool]:
    """Return the content of a variable, and whether it depends on the question alone. Raises KeyError."""
    contents: dict[str, tuple[Content, bool]] = {
        "qname": (lambda query: to_text(query.question[:-4]).encode(), True),
        "qtype": (lambda query: query.qtype.to_bytes(2, "big"), True),
        "protocol": (lambda query: query.transport.encode(), True),  # each transport has its own answer table
        "server_port": (lambda query: port.to_bytes(2, "big"), True),
        "client_ip": (lambda query: query.client_ip.packed, False),
        "client_port": (lambda query: query.client[1].to_bytes(2, "big"), False),
        "server_ip": (lambda query: query.server_ip.packed, False),
    }
    return contents[word]


def metadata(label: str) -> Content:
    """Make the content from a metadata label; the rule does not match a query without it."""
    return lambda query: (query.labels or {}).get(label, "").encode() or None


def fixed(content: bytes) -> Content:
    """Make the same content for every query."""
    return lambda query: content
