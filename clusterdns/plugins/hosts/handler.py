"""The handler of the `hosts` directive: A, AAAA and PTR from the file's table and the table of the block's own lines.

Every answer depends on the file, also an answer of the next plugin: a name that is missing now may be in the file's
next content. When the content changes, all these answers are forgotten.
"""

from collections.abc import Sequence

from clusterdns.chain import Handler, Query, Reply, failure
from clusterdns.chain.fallthrough import ask_next
from clusterdns.plugins.hosts.hosts_file import HostsFile
from clusterdns.plugins.hosts.settings import HostsSettings
from clusterdns.plugins.hosts.table import HostsTable
from clusterdns.wire import codes, record
from clusterdns.wire.header import MAX_STREAM_BYTES
from clusterdns.wire.name import is_under, to_address
from clusterdns.wire.record import Record
from clusterdns.wire.runs import MIN_RUN, address_records, pointer_records

MAX_POINTERS = MAX_STREAM_BYTES // 14 + 1  # a PTR record takes 14 bytes: two pointers and what precedes RDATA


class HostsHandler:
    """Answers from the file first, then from the lines of the block; `following` is the next plugin."""

    def __init__(self, settings: HostsSettings, file: HostsFile, inline: HostsTable, following: Handler) -> None:
        self._settings = settings
        self._file = file
        self._inline = inline
        self._following = following
        self._dependencies = (file,)

    async def __call__(self, query: Query) -> Reply:
        """Answer the query, or ask the next plugin."""
        reply = self._find(query)
        return reply if reply is not None else await ask_next(self._following, query, self._dependencies)

    def _find(self, query: Query) -> Reply | None:
        """Return the reply, or None if the query goes to the next plugin."""
        name, qtype = query.name, query.qtype
        if qtype == codes.PTR:
            records = self._pointers(name)
            if records:
                return self._reply(records)
            if not self._file.is_read:
                return self._unread()
        settings = self._settings
        if qtype == codes.PTR or not any(is_under(name, zone) for zone in settings.zones):
            return None
        falls_through = settings.fallthrough.includes(name)
        is_address = qtype in codes.ADDRESS_TYPES
        if falls_through and settings.passes_other_types and not is_address:
            return None
        tables = (self._file.table, self._inline)
        v4, v6 = (b"".join([table.v4(name) for table in tables]), b"".join([table.v6(name) for table in tables]))
        if not v4 and not v6 and not self._file.is_read:
            return self._unread()
        if not v4 and not v6:
            return None if falls_through else _missing()
        if not is_address:
            return self._reply(())
        addresses, size = (v4, 4) if qtype == codes.A else (v6, 16)
        several = [addresses[at : at + size] for at in range(0, len(addresses), size)]
        return self._reply(address_records(name, settings.ttl_seconds, qtype, several))

    def _pointers(self, name: bytes) -> Sequence[Record]:
        """Make the PTR records of an address, no more than fill a message: a block list has 100,000 names of one."""
        address = to_address(name)
        if address is None:
            return ()
        names = [*self._file.table.names(address)[:MAX_POINTERS], *self._inline.names(address)[:MAX_POINTERS]]
        ttl = self._settings.ttl_seconds
        if len(names) < MIN_RUN:
            return tuple([record.ptr(name, ttl, target) for target in names])
        return pointer_records(name, ttl, names[:MAX_POINTERS])

    def _unread(self) -> Reply:
        """Make the reply for a name that the file may have: no other plugin may deny it."""
        return failure(codes.SERVFAIL, f"hosts: {self._file.path} has not been read yet", codes.EDE_NOT_READY)

    def _reply(self, records: Sequence[Record]) -> Reply:
        return Reply(codes.NOERROR, records, dependencies=self._dependencies, reusable=True)


def _missing() -> Reply:
    cause = "hosts: the name is not listed, and no fallthrough includes it"
    return failure(codes.SERVFAIL, cause, codes.EDE_NOT_AUTHORITATIVE)
