"""The handler of the `cache` directive: it answers from the cache, or asks upstreams and caches their replies.

It stands right above `loop` and `forward`, below every plugin that has data of its own (`plugins.order` says why), and
caches only what `forward` marks as an upstream's reply.
"""

import logging
from functools import partial

from clusterdns.chain import Handler, Query, Reply
from clusterdns.plugins.cache.cache import Cache
from clusterdns.plugins.cache.entry import CacheEntry
from clusterdns.plugins.cache.phases import Clock
from clusterdns.plugins.cache.rules import (
    EntryKind,
    has_client_subnet,
    has_signature_out_of_time,
    is_for_all_clients,
    kind_of,
    ttl_of,
    with_ttl,
)
from clusterdns.upstream.question import answer_key
from clusterdns.wire import codes
from clusterdns.wire.header import AD
from clusterdns.wire.name import ROOT, is_under, to_text

log = logging.getLogger("clusterdns.plugin.cache")


class CacheHandler:
    """Answers from a cache; `following` asks upstreams."""

    def __init__(self, cache: Cache, following: Handler, clock: Clock, unix_clock: Clock) -> None:
        self._cache = cache
        self._settings = cache.settings
        self._metrics = cache.metrics
        self._following = following
        self._clock = clock
        self._unix_clock = unix_clock
        self._takes_all = ROOT in cache.settings.zones

    async def __call__(self, query: Query) -> Reply:
        """Answer from the cache, or ask upstreams."""
        if query.qtype in codes.TRANSFER_TYPES or not (self._takes_all or self._takes(query.name)):
            return await self._following(query)
        key = answer_key(query)
        if not (query.options and has_client_subnet(query)):
            now = self._clock()
            entry = self._cache.find(key, now)
            if entry is not None:
                return await self._hit(query, key, entry, now)
        return await self._miss(query, key)

    def _takes(self, name: bytes) -> bool:
        return any(is_under(name, zone) for zone in self._settings.zones)

    async def _hit(self, query: Query, key: bytes, entry: CacheEntry, now: float) -> Reply:
        metrics = self._metrics
        metrics.requests.value += 1
        hits = metrics.success_hits if entry.kind is EntryKind.POSITIVE else metrics.denial_hits
        hits.value += 1
        remaining_ttl = entry.remaining_ttl(now)
        if remaining_ttl > 0:
            reply = self._fresh(query, key, entry, remaining_ttl, now)
        else:
            reply = await self._stale(query, key, entry, now)
        reply.is_authentic = reply.is_authentic and _wants_ad(query)
        return reply

    def _fresh(self, query: Query, key: bytes, entry: CacheEntry, remaining_ttl: int, now: float) -> Reply:
        """Answer with an entry that has not expired; the reply may be compiled until its TTL has to count down.

        With `prefetch` it is compiled after enough hits only, because hits of compiled answers are not seen here.
        """
        reply = entry.reply(entry.ttl_seconds if self._settings.keeps_ttl else remaining_ttl)
        reply.dependencies = (entry.phase,)
        reply.reusable = True
        prefetch = self._settings.prefetch
        if prefetch.amount:
            entry.hits = entry.hits + 1 if now - entry.last_hit <= prefetch.pause_seconds else 1
            entry.last_hit = now
            reply.reusable = entry.hits >= prefetch.amount
            if reply.reusable and remaining_ttl <= -(-entry.ttl_seconds * prefetch.percent // 100):
                self._refresh_in_background(query, key, entry)
        if reply.reusable:
            # the compiled answer may be hit up to the moment when it is forgotten
            entry.last_hit = self._cache.phases.hold(entry.phase, now)
            is_positive = entry.kind is EntryKind.POSITIVE
            reply.counted = self._metrics.counted_success if is_positive else self._metrics.counted_denial
        return reply

    async def _stale(self, query: Query, key: bytes, entry: CacheEntry, now: float) -> Reply:
        """Answer with an expired entry; or, if it has to be verified first, with the upstream's new reply."""
        stale = self._settings.stale
        if now >= entry.retry_at:
            if stale.is_verified:
                refresh = partial(self._refresh, key, entry)
                reply = await self._cache.refreshes.wait(key, query, refresh, stale.patience_seconds)
                if reply is not None:
                    return reply
                entry.retry_at = self._clock() + stale.recheck_seconds  # a late refresh counts as failed
            else:
                self._refresh_in_background(query, key, entry)
        self._metrics.served_stale.value += 1
        reply = entry.reply(stale.ttl_seconds)
        reply.explain(codes.EDE_STALE_NXDOMAIN if entry.rcode == codes.NXDOMAIN else codes.EDE_STALE)
        return reply

    async def _miss(self, query: Query, key: bytes) -> Reply:
        flags = query.flags
        query.flags |= AD  # cached for the clients that ask for it (RFC 6840 §5.7)
        try:
            reply = await self._following(query)
        finally:
            query.flags = flags
        if not reply.is_upstream:
            if not reply.is_written:
                self._metrics.count_miss()  # no upstream answered; other replies are not the cache's
            return reply
        self._metrics.count_miss()
        self._store(query, key, reply, 0)
        reply.is_authentic = reply.is_authentic and _wants_ad(query)
        return reply

    def _store(self, query: Query, key: bytes, reply: Reply, hits: int) -> None:
        """Give a reply its TTL, and cache it if it may be cached.

        The reply is changed in place: `forward` makes one for each query.
        """
        kind = kind_of(query, reply)
        settings = self._settings
        limits = settings.denial if kind is EntryKind.NEGATIVE else settings.success
        ttl = ttl_of(reply, kind, limits, int(settings.failure_seconds))
        reply.answer = with_ttl(reply.answer, ttl)
        if reply.authority or reply.additional:
            reply.authority = with_ttl(reply.authority, ttl)
            reply.additional = with_ttl(reply.additional, ttl)
        if kind is EntryKind.NOT_CACHED or not ttl or reply.is_truncated:
            return
        if not is_for_all_clients(query, reply):
            self._metrics.drops.value += 1
            return
        if query.do and has_signature_out_of_time(reply, int(self._unix_clock())):
            return
        limits = settings.success if kind is EntryKind.POSITIVE else settings.denial
        if limits.accepts(query.name):
            entry = CacheEntry(reply, kind, ttl, *self._cache.phases.stored_now())
            entry.hits = hits
            self._cache.put(key, entry)

    def _refresh_in_background(self, query: Query, key: bytes, entry: CacheEntry) -> None:
        if self._cache.refreshes.begin(key, query, partial(self._refresh, key, entry)):
            self._metrics.prefetches.value += 1

    async def _refresh(self, key: bytes, entry: CacheEntry, query: Query) -> Reply | None:
        """Refresh an entry; return the new reply, or None if the entry stays. Raises nothing."""
        try:
            reply = await self._ask_again(key, entry, query)
        except Exception:  # the task's edge: the entry stays as it is
            log.exception("Refreshing failed: %s %s", to_text(query.name), codes.type_text(query.qtype))
            reply = None
        if reply is None:
            entry.retry_at = self._clock() + self._settings.stale.recheck_seconds
        return reply

    async def _ask_again(self, key: bytes, entry: CacheEntry, query: Query) -> Reply | None:
        """Ask upstreams; return their reply and cache it, or return None if it is no better than the entry."""
        reply = await self._following(query)
        if not reply.is_upstream:
            if not reply.is_written:
                return None
            self._cache.drop(key)  # the name is answered without upstreams now
            return reply
        if reply.rcode not in (codes.NOERROR, codes.NXDOMAIN) or reply.is_truncated:
            return None
        if self._settings.stale.prefers_answers and entry.kind is EntryKind.POSITIVE:
            is_answer = reply.answer and kind_of(query, reply) is EntryKind.POSITIVE
            if not is_answer:
                return None
        self._store(query, key, reply, entry.hits)
        return reply


def _wants_ad(query: Query) -> bool:
    """Return whether the client understands the AD flag (RFC 6840 §5.7)."""
    return query.do or bool(query.flags & AD)
