"""The type of a reply: positive answer, NODATA, NXDOMAIN, referral, zone transfer or error; and its class.

The words are CoreDNS's. `metadata` shows them as `log/type` and `log/class`, `log` selects replies by class, and
`minimal` by type.
"""

import enum

from clusterdns.chain.query import Query
from clusterdns.chain.reply import Reply
from clusterdns.wire import codes

SUCCESS, DENIAL, ERROR = "success", "denial", "error"


class ReplyType(enum.Enum):
    """The types of replies, with CoreDNS's words."""

    NOERROR = "NOERROR"
    NODATA = "NODATA"  # the name exists without this type; an SOA is in the authority section
    NXDOMAIN = "NXDOMAIN"
    REFERRAL = "DELEGATION"
    TRANSFER = "META"
    SERVER_ERROR = "SERVERERROR"
    OTHER_ERROR = "OTHERERROR"


def reply_type(query: Query, reply: Reply) -> ReplyType:
    """Return the type of a reply to this query."""
    if query.qtype in codes.TRANSFER_TYPES:
        return ReplyType.TRANSFER
    if reply.is_dropped:
        return ReplyType.OTHER_ERROR
    if reply.rcode == codes.NOERROR and reply.answer:
        return ReplyType.NOERROR
    types = {one.rtype for one in reply.authority}
    if reply.rcode == codes.NOERROR:
        if codes.SOA in types:
            return ReplyType.NODATA
        return ReplyType.REFERRAL if codes.NS in types else ReplyType.NOERROR
    if reply.rcode == codes.NXDOMAIN:
        return ReplyType.NXDOMAIN
    is_server_error = reply.rcode in (codes.SERVFAIL, codes.NOTIMP)
    return ReplyType.SERVER_ERROR if is_server_error else ReplyType.OTHER_ERROR


_CLASSES = {
    ReplyType.NOERROR: SUCCESS,
    ReplyType.REFERRAL: SUCCESS,
    ReplyType.NODATA: DENIAL,
    ReplyType.NXDOMAIN: DENIAL,
}


def reply_class(query: Query, reply: Reply) -> str:
    """Return `success` (referrals too), `denial` (NXDOMAIN, NODATA) or `error` (all else, zone transfers too)."""
    return _CLASSES.get(reply_type(query, reply), ERROR)
