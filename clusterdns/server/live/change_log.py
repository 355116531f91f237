"""The changes of the cluster in words, as they become answers. `collector` subscribes it, `picture` shows it."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from clusterdns.cluster.objects import Change, Endpoint, EndpointSlice, Service, shown_key

MAX_SHOWN = 50
MAX_PER_SECOND = 50  # that are put into words; a relist has thousands
MAX_LISTED = 3  # endpoints of one change that are named


class ChangeLog:
    """The last changes, the newest first."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._rows: deque[dict[str, Any]] = deque(maxlen=MAX_SHOWN)
        self._left = MAX_PER_SECOND
        self._skipped = 0

    def add(self, change: Change, seconds: float) -> None:
        """Add a change that answers have since `seconds` after its arrival."""
        if not self._left:
            self._skipped += 1
            return
        self._left -= 1
        obj = change.new if change.new is not None else change.old
        assert obj is not None
        name = obj.service if isinstance(obj, EndpointSlice) and obj.service else obj.name
        for text in _texts(change):
            self._add(shown_key((obj.namespace, name)), type(obj).__name__, text, seconds)

    def end_second(self) -> None:
        """Allow for the changes of another second, and name those that were too many."""
        if self._skipped:
            self._add("", "", f"{self._skipped:,} more changes within a second", None)
        self._left, self._skipped = MAX_PER_SECOND, 0

    def rows(self) -> list[dict[str, Any]]:
        """Return the changes for the picture."""
        return list(self._rows)

    def _add(self, label: str, kind: str, text: str, seconds: float | None) -> None:
        now = iso_time(self._clock())
        self._rows.appendleft({"at": now, "object": label, "kind": kind, "text": text, "seconds": seconds})


def iso_time(seconds: float) -> str:
    """Write a time since 1970 with milliseconds, in UTC."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03}Z"


def _texts(change: Change) -> Iterator[str]:
    """Describe a change; nothing where it changes no answer."""
    old, new, _ = change
    if isinstance(old or new, EndpointSlice):
        yield from _slice_texts(old, new)  # type: ignore[arg-type]  # both sides are of one kind
    elif old is None or new is None:
        obj = new if new is not None else old
        shown = ", ".join(_service_parts(obj).values()) if isinstance(obj, Service) and new is not None else ""
        yield f"{type(obj).__name__} {'created' if old is None else 'deleted'}{f': {shown}' if shown else ''}"
    elif isinstance(old, Service) and isinstance(new, Service):
        before, after = _service_parts(old), _service_parts(new)
        for part in {**before, **after}:
            if before.get(part) != after.get(part):
                yield f"{part}: {before.get(part, 'none')} → {after.get(part, 'none')}"
    elif old != new:
        yield f"{type(new).__name__} changed"


def _service_parts(service: Service) -> dict[str, str]:
    ports = ", ".join(f"{one.name or 'unnamed'} {one.number}/{one.protocol}" for one in service.ports[:MAX_LISTED])
    more = len(service.ports) - MAX_LISTED
    parts = {
        "type": service.type,
        "clusterIP": "None" if service.headless else ", ".join(service.cluster_ips),
        "externalName": service.external_name,
        "ports": ports + (f" and {more} more" if more > 0 else ""),
        "external addresses": ", ".join(service.external[:MAX_LISTED]),
    }
    return {part: text for part, text in parts.items() if text}


def _slice_texts(old: EndpointSlice | None, new: EndpointSlice | None) -> Iterator[str]:
    before = frozenset(old.endpoints) if old is not None else frozenset()
    after = frozenset(new.endpoints) if new is not None else frozenset()
    unready = frozenset(new.unready) if new is not None else frozenset()
    gone, added = _addresses(before - after), _addresses(after - before)
    moved = gone & added  # the same address with another hostname, pod or zone
    for found, effect in (
        (added - moved, "ready"),
        (moved, "changed"),
        (gone & unready - moved, "not ready"),
        (gone - unready - moved, "removed"),
    ):
        if found:
            listed = ", ".join(sorted(found)[:MAX_LISTED])
            more = len(found) - MAX_LISTED
            yield f"endpoint{'s' if len(found) > 1 else ''} {listed}{f' and {more} more' if more > 0 else ''} {effect}"
    if old is not None and new is not None and old.ports != new.ports:
        yield "ports of the slice changed"


def _addresses(endpoints: frozenset[Endpoint]) -> frozenset[str]:
    return frozenset(text for one in endpoints for text in one.addresses)
