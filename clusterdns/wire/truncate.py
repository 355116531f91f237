"""Fit a message that is larger than its limit: compress all names, then leave out whole records from the end.

`encode` comes here only when the message that it made first does not fit.
"""

from collections.abc import Sequence
from typing import NamedTuple

from clusterdns.wire import codes
from clusterdns.wire.compress import Compressor
from clusterdns.wire.edns import iter_options, opt_record
from clusterdns.wire.header import HEADER_BYTES, OPT_BYTES
from clusterdns.wire.query import QueryMessage
from clusterdns.wire.record import Record
from clusterdns.wire.response import ResponseMessage
from clusterdns.wire.runs import NO_ROTATION, RotatingRecords


class Fitted(NamedTuple):
    """Encoded records by section, and the OPT. `rotating` is the end of the answer."""

    answer: Sequence[bytes]
    rotating: RotatingRecords
    authority: Sequence[bytes]
    additional: Sequence[bytes]
    opt: bytes
    is_truncated: bool

    @property
    def size(self) -> int:
        """Bytes of all records."""
        records = sum(map(len, self.answer)) + sum(map(len, self.authority)) + sum(map(len, self.additional))
        return records + self.rotating.shown_bytes + len(self.opt)


def fit(
    query: QueryMessage, reply: ResponseMessage, records: Sequence[Record], rotating: Sequence[Record], opt: bytes
) -> Fitted:
    """Return as much of the reply as the query's limit allows; its answer is `records` and then `rotating`.

    Extended errors are left out before records are, and leaving them out sets TC as well (RFC 8914 §3).
    """
    space = query.size_limit - HEADER_BYTES - len(query.question)
    compressor = Compressor(query.question, query.size_limit, reply.serial)
    answer = compressor.encode(records, is_last=not (rotating or reply.authority or reply.additional))
    whole = Fitted(
        answer, compressor.encode_rotating(rotating),
        compressor.encode(reply.authority), compressor.encode(reply.additional), opt, is_truncated=False,
    )  # fmt: skip
    is_complete = compressor.position <= query.size_limit  # the compressor stops at the first record beyond it
    if is_complete and whole.size <= space:
        return whole
    if len(opt) > OPT_BYTES:
        opt = opt_record(reply.rcode, _without_extended_errors(reply.options), do=query.do)
        if len(opt) > space:
            opt = opt_record(reply.rcode, b"", do=query.do)
    whole = whole._replace(opt=opt, is_truncated=True)
    if is_complete and whole.size <= space:
        return whole
    return _truncated(whole, len(records), space - len(opt))


def _without_extended_errors(options: bytes) -> bytes:
    return b"".join([whole for code, whole in iter_options(options) if code != codes.EDE])


def _truncated(whole: Fitted, answer_count: int, space: int) -> Fitted:
    """Return the records that fit, from the front; a section begins only when all sections before it are whole."""
    answer, space = _leading(whole.answer, space)
    if len(answer) < answer_count:
        return whole._replace(answer=answer, rotating=NO_ROTATION, authority=(), additional=())
    rotating_bytes = whole.rotating.shown_bytes
    if rotating_bytes > space:
        # as many as fit from any start, so that every rotation shows the same number
        shown = space // whole.rotating.record_bytes
        return whole._replace(rotating=whole.rotating._replace(shown=shown), authority=(), additional=())
    authority, space = _leading(whole.authority, space - rotating_bytes)
    if len(authority) < len(whole.authority):
        return whole._replace(authority=authority, additional=())
    return whole._replace(additional=_leading(whole.additional, space)[0])


def _leading(records: Sequence[bytes], space: int) -> tuple[Sequence[bytes], int]:
    """Return as many encoded records from the front as fit, and the space that is left."""
    count = len(records)
    size = sum(map(len, records))
    while size > space:  # one or a few: the compressor stops at the first beyond the limit
        count -= 1
        size -= len(records[count])
    return records[:count], space - size
