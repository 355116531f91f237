"""The values of one `cache` directive: the limits of its two stores, prefetch, and serve-stale (RFC 8767)."""

import msgspec

from clusterdns.wire.name import is_under

MAX_TTL_SECONDS = 2**31 - 1  # RFC 2181 §8


class StoreSettings(msgspec.Struct, frozen=True):
    """The limits of one store: `success` holds positive answers, `denial` negative answers and failures."""

    capacity: int = 9984
    max_ttl_seconds: int = 3600
    min_ttl_seconds: int = 5
    disabled: tuple[bytes, ...] = ()  # zones whose names are not cached

    def accepts(self, name: bytes) -> bool:
        """Return whether replies for the name are cached."""
        return not self.disabled or not any(is_under(name, zone) for zone in self.disabled)

    def clamp(self, ttl: int) -> int:
        """Raise a TTL to the minimum, then cut it to the maximum."""
        return min(max(ttl, self.min_ttl_seconds), self.max_ttl_seconds, MAX_TTL_SECONDS)


class PrefetchSettings(msgspec.Struct, frozen=True):
    """When an entry is refreshed before it expires: after `amount` hits without a pause of over `pause_seconds`."""

    amount: int = 0  # 0: off
    pause_seconds: float = 60.0
    percent: int = 10  # of the TTL: refresh when no more than this remains


class StaleSettings(msgspec.Struct, frozen=True):
    """For how long expired entries are served, and how (serve-stale, RFC 8767)."""

    seconds: float = 0.0  # after expiry; 0: never
    is_verified: bool = False  # ask upstreams first, for at most `patience_seconds`; 0: as long as it takes
    patience_seconds: float = 0.0
    ttl_seconds: int = 0  # of stale replies
    recheck_seconds: float = 0.0  # until the next refresh after a failed one
    prefers_answers: bool = False  # a positive entry is replaced by positive answers only


class CacheSettings(msgspec.Struct, frozen=True):
    """The zones and options of a cache directive."""

    zones_text: tuple[str, ...]
    zones: tuple[bytes, ...]
    success: StoreSettings = msgspec.field(default_factory=StoreSettings)
    denial: StoreSettings = msgspec.field(default_factory=lambda: StoreSettings(max_ttl_seconds=1800))
    prefetch: PrefetchSettings = msgspec.field(default_factory=PrefetchSettings)
    stale: StaleSettings = msgspec.field(default_factory=StaleSettings)
    failure_seconds: float = 5.0  # the TTL of SERVFAIL and NOTIMP
    keeps_ttl: bool = False  # TTLs do not count down
