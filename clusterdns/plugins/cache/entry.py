"""One cached reply: its sections, its TTL, and how it has been used."""

import math

from clusterdns.chain import Reply
from clusterdns.plugins.cache.phases import Phase
from clusterdns.plugins.cache.rules import EntryKind, options_to_keep, with_ttl
from clusterdns.telemetry.queries import MAX_USES
from clusterdns.wire.runs import RecordRun

ENTRY_BYTES = 650  # of memory per entry, without its records; measured as growth of the resident set
RECORD_BYTES = 160  # of memory per record, without its name and body
RUN_RECORD_BYTES = 41  # of memory per record of a run, without what differs from the others


class CacheEntry:
    """A reply as it was stored, its hits since then, and when it may be refreshed again after a failure."""

    __slots__ = (
        "additional", "answer", "authority", "hits", "is_authentic", "is_authoritative", "kind", "last_hit", "options",
        "phase", "rcode", "recursion_available", "retry_at", "shown_ttl", "size_bytes", "stored_at", "ttl_seconds",
        "uses",
    )  # fmt: skip

    def __init__(self, reply: Reply, kind: EntryKind, ttl_seconds: int, stored_at: float, phase: Phase) -> None:
        """Store a reply, all of whose records have the TTL `ttl_seconds`."""
        self.kind = kind
        self.rcode = reply.rcode
        self.answer = reply.answer
        self.authority = reply.authority
        self.additional = reply.additional
        self.options = options_to_keep(reply.options)
        self.is_authoritative = reply.is_authoritative
        self.recursion_available = reply.recursion_available
        self.is_authentic = reply.is_authentic
        self.ttl_seconds = ttl_seconds
        self.shown_ttl = ttl_seconds
        self.stored_at = stored_at
        self.phase = phase
        self.uses = 0  # that eviction remembers
        self.hits = 0  # without a long pause, as `prefetch` counts them
        self.last_hit = stored_at
        self.retry_at = -math.inf
        size_bytes = ENTRY_BYTES + len(self.options)
        for section in (self.answer, self.authority, self.additional):
            if type(section) is RecordRun:
                size_bytes += RUN_RECORD_BYTES * len(section) + section.start_bytes
                continue
            for name, _, body in section:
                size_bytes += RECORD_BYTES + len(name) + len(body)
        self.size_bytes = size_bytes

    def remaining_ttl(self, now: float) -> int:
        """Return the remaining TTL in whole seconds; 0 or less if the entry has expired."""
        return self.ttl_seconds - int(now - self.stored_at)

    def add_use(self) -> None:
        """Remember a use for eviction."""
        if self.uses < MAX_USES:
            self.uses += 1

    def take_use(self) -> bool:
        """Take away one of the remembered uses; return whether there was one."""
        if not self.uses:
            return False
        self.uses -= 1
        return True

    def reply(self, ttl: int) -> Reply:
        """Make a reply with this TTL; the records are made once per TTL and shared by its replies."""
        if ttl != self.shown_ttl:
            self.answer = with_ttl(self.answer, ttl)
            if self.authority:
                self.authority = with_ttl(self.authority, ttl)
            if self.additional:
                self.additional = with_ttl(self.additional, ttl)
            self.shown_ttl = ttl
        reply = Reply(self.rcode, self.answer, self.authority, self.additional, is_authoritative=self.is_authoritative)
        reply.recursion_available = self.recursion_available
        reply.is_authentic = self.is_authentic
        reply.options = self.options
        reply.is_upstream = True
        return reply
