"""The handler of the `cache` directive: replies of other servers, asked once and given until they have aged.

It stands right above `loop` and `forward`, below everything that holds data itself (`plugins.order` says why), and
stores nothing but what `forward` marks as another server's. What is kept, and for how long, is in `cache_rules`, where
in `cache_store`, and asking again in the background in `cache_refresh`.
"""

import logging
import time
from collections.abc import Callable

from clusterdns.chain import Handler, Query, Reply
from clusterdns.plugins.cache.metrics import CacheMetrics
from clusterdns.plugins.cache.refresh import Refreshes, asking_for_all
from clusterdns.plugins.cache.rules import (
    Kind,
    has_expired_signatures,
    is_for_everyone,
    kind_of,
    names_network,
    ttl_of,
    with_ttl,
)
from clusterdns.plugins.cache.settings import Settings, Share
from clusterdns.plugins.cache.store import CacheBudget, Clock, Entry, Phases, Store
from clusterdns.wire import codes
from clusterdns.wire.header import AD, CD
from clusterdns.wire.name import ROOT, is_under, to_text

MIN_CAPACITY = 1024  # of a store, as in CoreDNS

log = logging.getLogger("clusterdns.plugin.cache")

_VARIANTS = {(do, cd): bytes((do | cd << 1,)) for do in (False, True) for cd in (False, True)}


class Cache:
    """What one directive keeps, whatever the class of the questions: the handlers of a block share it."""

    def __init__(
        self,
        settings: Settings,
        budget: CacheBudget,
        metrics: CacheMetrics,
        phases: Phases,
        clock: Clock = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.phases = phases
        self.clock = clock
        self.unix_clock = unix_clock
        self.success = _store(settings.success, budget, metrics.count_success_eviction)
        self.denial = _store(settings.denial, budget, metrics.count_denial_eviction)
        self.handlers: list[CacheHandler] = []
        self._unfollow: Callable[[], None] | None = None

    def wrap(self, following: Handler) -> Handler:
        """A handler of this cache, before the one that asks upstreams."""
        handler = CacheHandler(self, following)
        self.handlers.append(handler)
        return handler

    async def start(self) -> None:
        """Begin to keep replies."""
        self.success.open()
        self.denial.open()
        self._unfollow = self.metrics.follow(lambda: (len(self.success), len(self.denial)))

    async def stop(self) -> None:
        """Let go of everything, refreshes under way included."""
        for handler in self.handlers:
            await handler.refreshes.close()
        self.phases.close()
        self.success.close()
        self.denial.close()
        if self._unfollow is not None:
            self._unfollow()


class CacheHandler:
    """Answers from a cache; `following` asks upstreams."""

    def __init__(self, cache: Cache, following: Handler) -> None:
        self._settings = cache.settings
        self._metrics = cache.metrics
        self._phases = cache.phases
        self._clock = cache.clock
        self._unix_clock = cache.unix_clock
        self._success = cache.success
        self._denial = cache.denial
        self._following = following
        self._takes_all = ROOT in cache.settings.zones
        self.refreshes = Refreshes(self._refresh)

    async def __call__(self, query: Query) -> Reply:
        """The reply kept, or what upstream says (see plugins.handler.Handler)."""
        if query.qtype in codes.TRANSFER_TYPES or not (self._takes_all or self._takes(query.name)):
            return await self._following(query)
        key = query.name + query.question[-4:] + _VARIANTS[query.do, bool(query.flags & CD)]
        if not (query.options and names_network(query)):
            now = self._clock()
            entry = self._find(key, now)
            if entry is not None:
                return await self._hit(query, key, entry, now)
        return await self._miss(query, key)

    def _takes(self, name: bytes) -> bool:
        return any(is_under(name, zone) for zone in self._settings.zones)

    async def _hit(self, query: Query, key: bytes, entry: Entry, now: float) -> Reply:
        metrics = self._metrics
        metrics.requests.value += 1
        hits = metrics.success_hits if entry.kind is Kind.ANSWER else metrics.denial_hits
        hits.value += 1
        left_seconds = entry.left_seconds(now)
        if left_seconds > 0:
            reply = self._fresh(query, key, entry, left_seconds, now)
        else:
            reply = await self._stale(query, key, entry, now)
        reply.is_authentic = reply.is_authentic and _wants_ad(query)
        return reply

    def _find(self, key: bytes, now: float) -> Entry | None:
        """The entry to answer with: denials first, or answers where they are preferred or the denial is a failure."""
        denial, answer = self._denial.get(key), self._success.get(key)
        if denial is not None and not self._is_usable(denial, now):
            denial = None
        if answer is not None and not self._is_usable(answer, now):
            answer = None
        if denial is None or answer is None:
            return denial or answer
        prefers_answer = self._settings.stale.prefers_answers or denial.kind is Kind.FAILURE
        return answer if prefers_answer else denial

    def _is_usable(self, entry: Entry, now: float) -> bool:
        left_seconds = entry.left_seconds(now)
        if left_seconds > 0:
            return True
        stale_seconds = self._settings.stale.seconds
        # a failure is never kept for long, least of all beyond its end (RFC 9520 §3.2)
        return bool(stale_seconds) and now - entry.stored - entry.ttl_seconds <= stale_seconds and (
            entry.kind is not Kind.FAILURE
        )  # fmt: skip

    def _fresh(self, query: Query, key: bytes, entry: Entry, left_seconds: int, now: float) -> Reply:
        """A reply whose TTL is not over. It may be compiled, until it has to show another TTL."""
        reply = entry.reply(entry.ttl_seconds if self._settings.keeps_ttl else left_seconds)
        reply.dependencies = (entry.phase,)
        reply.reusable = True
        prefetch = self._settings.prefetch
        if prefetch.amount:
            entry.hits = entry.hits + 1 if now - entry.last_hit <= prefetch.pause_seconds else 1
            entry.last_hit = now
            reply.reusable = entry.hits >= prefetch.amount  # hits of compiled answers are not seen here
            if reply.reusable and left_seconds <= -(-entry.ttl_seconds * prefetch.percent // 100):
                self._refresh_in_background(query, key, entry)
        if reply.reusable:
            # up to that moment there may be hits, for all that is known here
            entry.last_hit = self._phases.hold(entry.phase, now)
            is_answer = entry.kind is Kind.ANSWER
            reply.counted = self._metrics.counted_success if is_answer else self._metrics.counted_denial
        return reply

    async def _stale(self, query: Query, key: bytes, entry: Entry, now: float) -> Reply:
        """A reply that has expired; or, where it is to be verified, what upstream says now."""
        stale = self._settings.stale
        if now >= entry.retry_at:
            if stale.is_verified:
                reply = await self.refreshes.wait(key, query, entry, stale.patience_seconds)
                if reply is not None:
                    return reply
                entry.retry_at = self._clock() + stale.recheck_seconds  # not in time is a failure too
            else:
                self._refresh_in_background(query, key, entry)
        self._metrics.served_stale.value += 1
        reply = entry.reply(stale.ttl_seconds)
        reply.explain(codes.EDE_STALE_NXDOMAIN if entry.rcode == codes.NXDOMAIN else codes.EDE_STALE)
        return reply

    async def _miss(self, query: Query, key: bytes) -> Reply:
        reply = await self._following(query if query.flags & AD else asking_for_all(query))
        if not reply.is_upstream:
            if not reply.is_written:
                self._metrics.count_miss()  # upstreams were asked in vain; what we hold ourselves is none of ours
            return reply
        self._metrics.count_miss()
        taken = self._take(query, key, reply, 0)
        taken.is_authentic = taken.is_authentic and _wants_ad(query)
        return taken

    def _take(self, query: Query, key: bytes, reply: Reply, hits: int) -> Reply:
        """Keep a reply of an upstream if it may be kept; gives it as its client is to see it."""
        kind = kind_of(query, reply)
        settings = self._settings
        share = settings.denial if kind is Kind.DENIAL else settings.success
        ttl = ttl_of(reply, kind, share, int(settings.failure_seconds))
        reply = reply.duplicate()
        reply.reusable = False  # its TTL would stand still
        reply.answer = with_ttl(reply.answer, ttl)
        if reply.authority or reply.additional:
            reply.authority = with_ttl(reply.authority, ttl)
            reply.additional = with_ttl(reply.additional, ttl)
        if kind is Kind.OTHER or not ttl or reply.is_truncated:
            return reply
        if not is_for_everyone(query, reply):
            self._metrics.drops.value += 1
            return reply
        if query.do and has_expired_signatures(reply, int(self._unix_clock())):
            return reply
        share = settings.success if kind is Kind.ANSWER else settings.denial
        if share.keeps(query.name):
            entry = Entry(reply, kind, ttl, *self._phases.stored_now())
            entry.hits = hits
            if kind is Kind.ANSWER:
                self._success.put(key, entry)
                self._denial.drop(key)
            else:
                self._denial.put(key, entry)
        return reply

    def _refresh_in_background(self, query: Query, key: bytes, entry: Entry) -> None:
        if self.refreshes.begin(key, query, entry):
            self._metrics.prefetches.value += 1

    async def _refresh(self, query: Query, key: bytes, entry: Entry) -> Reply | None:
        try:
            reply = await self._asked_anew(query, key, entry)
        except Exception:  # the task's edge: the entry stays as it is
            log.exception("Refreshing failed: %s %s", to_text(query.name), codes.type_text(query.qtype))
            reply = None
        if reply is None:
            entry.retry_at = self._clock() + self._settings.stale.recheck_seconds
        return reply

    async def _asked_anew(self, query: Query, key: bytes, entry: Entry) -> Reply | None:
        """What upstream says, kept in the entry's place; None, and the entry stays, where that is no better."""
        reply = await self._following(query)
        if not reply.is_upstream:
            if not reply.is_written:
                return None
            self._success.drop(key)  # it has become ours to answer
            self._denial.drop(key)
            return reply
        if reply.rcode not in (codes.NOERROR, codes.NXDOMAIN) or reply.is_truncated:
            return None
        if self._settings.stale.prefers_answers and entry.kind is Kind.ANSWER:
            is_answer = reply.answer and kind_of(query, reply) is Kind.ANSWER
            if not is_answer:
                return None
        return self._take(query, key, reply, entry.hits)


def _store(share: Share, budget: CacheBudget, count_eviction: Callable[[], None]) -> Store:
    return Store(max(share.capacity, MIN_CAPACITY), budget, count_eviction)


def _wants_ad(query: Query) -> bool:
    """Whether the client understands the AD flag (RFC 6840 §5.7)."""
    return query.do or bool(query.flags & AD)
