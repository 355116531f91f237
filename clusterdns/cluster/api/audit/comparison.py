"""Compares one collection with the API server's metadata, and corrects what differs.

The store and a page are states of different moments, and events are under way between them. So only objects are judged
that no event has named since before the first page was asked for, and only once the watch has passed the version of the
page, or has had `SETTLE_SECONDS` to bring its events. Such an object was the same throughout: where the page has
another version, an event was lost. It is then read again, in full, and applied as an event would be; what the watch may
still bring about it from before that reading is ignored, so that names never go back in time.
"""

from collections.abc import Mapping
from typing import NamedTuple

from clusterdns.cluster.api.audit.metadata import identity, object_request, read_page
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.follow.position import number_of
from clusterdns.cluster.api.follow.watch import Followed
from clusterdns.cluster.api.lists import raw_items, read_list
from clusterdns.cluster.objects import ObjectKey
from clusterdns.cluster.versions import UNKNOWN

SETTLE_SECONDS = 5.0
_POLL_SECONDS = 0.25
_MAX_SINGLE_READS = 20  # more objects than these are read with all others, in pages
_FULL_PAGE_LIMIT = 50  # of objects that may be large


class AbandonedAudit(Exception):
    """The watch is not open, or the API server shows an older state: there is nothing to compare with."""


class AuditFinding(NamedTuple):
    """An object that was not known as it is."""

    key: ObjectKey
    what: str  # missing, outdated or gone


class Comparison:
    """One audit of one collection. `pause_seconds` passes between two requests."""

    def __init__(self, followed: Followed, pause_seconds: float) -> None:
        self._followed = followed
        self._versions = followed.store.versions
        self._pause_seconds = pause_seconds
        self.requests = 0

    async def run(self) -> list[AuditFinding]:
        """Compare, and correct. Returns what differed. Raises ApiError and AbandonedAudit."""
        newest, ahead = self._followed.position.newest, self._followed.ahead
        for key in [key for key, version in ahead.items() if version <= newest]:
            del ahead[key]  # the watch has passed it
        self._versions.begin()
        try:
            doubtful = await self._find_doubtful()
            if not doubtful:
                return []
            return await self._correct(doubtful)
        finally:
            self._versions.end()

    async def _find_doubtful(self) -> set[ObjectKey]:
        """Read every page. Returns the keys whose versions differ once the events from before have arrived."""
        followed, known, named = self._followed, self._versions.known, self._versions.named
        began_at = self._require_watch()
        unlisted = set(known)
        listed: dict[ObjectKey, int] = {}  # where they differ
        rest = ""
        while rest or not self.requests:
            if self.requests:
                await followed.timing.sleep(self._pause_seconds)
            self.requests += 1
            page = await read_page(followed.client, followed.collection, followed.position.version, rest)
            self._require_not_older(page.version, began_at)
            for key, version in page.versions:
                unlisted.discard(key)
                if _differs(known.get(key), version) and key not in named:
                    listed[key] = version
            rest = page.rest
        missing = unlisted - named
        if not missing and not listed:
            return set()
        await self._settle(page.version)
        differing = {key for key, version in listed.items() if _differs(known.get(key), version)}
        return {key for key in differing | (missing & known.keys()) if key not in named}

    def _require_watch(self) -> int:
        """Return the version that is known. Raises AbandonedAudit where nothing says that it is current."""
        newest = number_of(self._followed.position.version)
        freshness = self._followed.freshness
        if newest is None or not freshness.is_listed or freshness.connected_at is None:
            raise AbandonedAudit("no watch is open")
        if freshness.staleness_seconds() > SETTLE_SECONDS:
            raise AbandonedAudit("the watch is not known to be alive")
        return max(newest, self._followed.position.newest)

    @staticmethod
    def _require_not_older(version: str, known: int) -> int:
        number = number_of(version)
        if number is None:
            raise ApiError(f"the API server sent a list of resourceVersion {version[:40]!r}")
        if number < known:
            raise AbandonedAudit(f"the API server shows resourceVersion {number}, older than the known {known}")
        return number

    async def _settle(self, version: str) -> None:
        """Wait until the watch has passed a version, or for as long as events may take. Raises AbandonedAudit."""
        followed, number = self._followed, number_of(version) or 0
        connected_at = followed.freshness.connected_at
        until = followed.timing.clock() + SETTLE_SECONDS
        while followed.position.newest < number and followed.timing.clock() < until:
            await followed.timing.sleep(_POLL_SECONDS)
        self._require_watch()
        if followed.position.newest < number and followed.freshness.connected_at != connected_at:
            raise AbandonedAudit("the watch was opened again")

    async def _correct(self, doubtful: set[ObjectKey]) -> list[AuditFinding]:
        """Read the objects again, and apply them."""
        requests: list[tuple[str, Mapping[str, str], set[ObjectKey]]]
        collection = self._followed.collection
        if len(doubtful) <= _MAX_SINGLE_READS:
            requests = [(*object_request(collection, key), {key}) for key in sorted(doubtful)]
        else:
            requests = [(collection.path, {**collection.selectors, "limit": str(_FULL_PAGE_LIMIT)}, doubtful)]
        differences = []
        for path, params, keys in requests:
            differences += await self._reread(path, params, keys)
        return differences

    async def _reread(self, path: str, params: Mapping[str, str], keys: set[ObjectKey]) -> list[AuditFinding]:
        """Read a list in full, and make those of its objects equal to it that are meant by `keys`."""
        followed = self._followed
        known_at = self._require_watch()
        unlisted = set(keys)
        differences: list[AuditFinding] = []
        rest = ""
        is_first = True
        while rest or is_first:
            await followed.timing.sleep(self._pause_seconds)
            self.requests += 1
            body = await followed.client.page(path, {**params, "continue": rest} if rest else params)
            page = read_list(raw_items, body)
            number = self._require_not_older(page.meta.resource_version or "", known_at)
            async with followed.applying:
                for raw in page.items or ():
                    key, version = identity(raw)
                    if key in unlisted:
                        unlisted.discard(key)
                        if self._is_judged(key) and _differs(self._versions.known.get(key), version):
                            what = "outdated" if key in self._versions.known else "missing"
                            followed.store.put(raw)
                            await self._complete(key, number)
                            differences.append(AuditFinding(key, what))
            rest = page.meta.rest or ""
            is_first = False
        async with followed.applying:
            for key in unlisted:
                if self._is_judged(key) and key in self._versions.known:
                    followed.store.remove(key)
                    await self._complete(key, number)
                    differences.append(AuditFinding(key, "gone"))
        return differences

    def _is_judged(self, key: ObjectKey) -> bool:
        """Return whether no event has named the object, and no list is being read."""
        return key not in self._versions.named and self._followed.freshness.connected_at is not None

    async def _complete(self, key: ObjectKey, version: int) -> None:
        """Complete the change of an object, which is as new as `version`."""
        self._followed.ahead[key] = version
        self._followed.turns.begin()
        await self._followed.turns.take(self._followed.store.steps())


def _differs(known: int | None, listed: int) -> bool:
    return known is None or (known != listed and UNKNOWN not in (known, listed))
