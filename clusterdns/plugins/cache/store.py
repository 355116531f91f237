"""A store of cached replies: bounded in number, and in bytes together with all other stores of the process.

`cachetools.LRUCache` and not `TLRUCache`, because expired entries must stay available for serve-stale. If an expired
entry is asked for, it is replaced; if not, it is soon the least recently used one.
"""

from collections.abc import Callable

from cachetools import LRUCache

from clusterdns.plugins.cache.entry import CacheEntry

MAX_BYTES = 40 << 20  # of all stores: two at CoreDNS's capacity, full of typical replies, take 20 to 28 MiB


class CacheBudget:
    """The bytes that all stores of the process may take together. The largest store evicts first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.used_bytes = 0
        self.most_bytes = max_bytes  # without memory pressure
        self._max_bytes = max_bytes
        self._stores: list[CacheStore] = []

    def add(self, store: "CacheStore") -> None:
        """Let a store, which is empty, share the budget."""
        self._stores.append(store)

    def remove(self, store: "CacheStore") -> None:
        """Remove a store, which must be empty."""
        self._stores.remove(store)

    def scale(self, share: float) -> None:
        """Limit the stores to this share of `most_bytes` from now on."""
        self._max_bytes = int(self.most_bytes * share)
        self.enforce()

    def enforce(self) -> None:
        """Evict entries until the stores are within the budget."""
        while self.used_bytes > self._max_bytes:
            max(self._stores, key=lambda store: store.used_bytes).evict()


class CacheStore:
    """Cached replies by their question, the least recently used evicted first; keeps entries while it is open."""

    def __init__(self, capacity: int, budget: CacheBudget, count_eviction: Callable[[], None]) -> None:
        self.used_bytes = 0
        self._capacity = capacity
        self._budget = budget
        self._count_eviction = count_eviction
        self._entries: LRUCache[bytes, CacheEntry] = LRUCache(capacity)
        self._is_open = False

    def __len__(self) -> int:
        return len(self._entries)

    def open(self) -> None:
        """Accept entries from now on."""
        self._is_open = True
        self._budget.add(self)

    def close(self) -> None:
        """Drop all entries, and accept no more."""
        if self._is_open:
            self._is_open = False
            self._budget.used_bytes -= self.used_bytes
            self.used_bytes = 0
            self._entries.clear()
            self._budget.remove(self)

    def get(self, key: bytes) -> CacheEntry | None:
        """Return the entry and make it the most recently used."""
        return self._entries.get(key)

    def put(self, key: bytes, entry: CacheEntry) -> None:
        """Store an entry in place of the previous one; evict the least recently used as needed."""
        if not self._is_open:
            return
        self.drop(key)
        if len(self._entries) >= self._capacity:
            self.evict()
        self._entries[key] = entry
        self._add_bytes(len(key) + entry.size_bytes)
        self._budget.enforce()

    def drop(self, key: bytes) -> None:
        """Remove the entry, if there is one."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._add_bytes(-len(key) - entry.size_bytes)

    def evict(self) -> None:
        """Remove the least recently used entry. Raises KeyError if the store is empty."""
        key, entry = self._entries.popitem()
        self._add_bytes(-len(key) - entry.size_bytes)
        self._count_eviction()

    def _add_bytes(self, count: int) -> None:
        self.used_bytes += count
        self._budget.used_bytes += count
