"""A model of an API server's collection of Services, in place of `Client`: a history, and faults drawn per request."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from clusterdns.cluster.api.errors import ApiError, Expired, Interrupted
from testing import fake_apiserver as faked

Delay = Callable[[], Awaitable[None]]
Lines = AsyncGenerator[list[bytes], None]

WATCH_FAULTS = (
    "refuse",
    "unauthorized",
    "expired",
    "error event",
    "garbage",
    "cut",
    "half",
    "backwards",
    "twice",
    "end",
)
LIST_FAULTS = ("refuse", "unauthorized", "expired", "old", "cut")
PER_PAGE = 2


class ModelApi:
    """The history of one collection. Each request takes one fault, or none, and may be followed by changes."""

    def __init__(self, *, streams_lists: bool) -> None:
        self.history: list[tuple[int, str, str]] = []  # version, name, address; an empty address is a deletion
        self.faults: list[str] = []
        self.changes_between: list[tuple[str, str]] = []  # one is made after each request
        self.requests = 0
        self.fault_at_all_watches = ""
        self.fault_everywhere = ""
        self.fault_at_all_pages = ""
        self._streams = streams_lists
        self._unstreamed = False
        self.lost: set[int] = set()  # versions whose events no watch sends
        self.event_delay: Delay = _no_delay
        self.page_delay: Delay = _no_delay
        self._changed = asyncio.Event()
        self._is_ending = False

    @property
    def version(self) -> int:
        """The latest version."""
        return self.history[-1][0] if self.history else 1

    def change(self, name: str, address: str) -> None:
        """Create, change or delete (with an empty address) a Service, where that is a change."""
        if self.state(self.version).get(name, "") != address:
            self.history.append((self.version + 2, name, address))
            self._changed.set()

    def end_watch(self) -> None:
        """Let the watch end that is open."""
        self._is_ending = True
        self._changed.set()

    def state(self, version: int) -> dict[str, str]:
        """Return the addresses by name at a version."""
        found = {name: address for one, name, address in self.history if one <= version}
        return {name: address for name, address in found.items() if address}

    def streams_lists(self, path: str) -> bool:
        """As in `Client`."""
        return not self._unstreamed

    def note_unstreamed(self, path: str) -> None:
        """As in `Client`."""
        self._unstreamed = True

    async def page(
        self, path: str, params: dict[str, str], *, is_last_of_connection: bool = False, accept: str = ""
    ) -> bytes:
        """Return a page of the state when its list began, or a list of the one object that is asked for."""
        fault = self._begin(self.fault_at_all_pages or self.fault_everywhere)
        await self.page_delay()
        if fault in ("refuse", "cut", "unauthorized", "expired"):
            raise _failure(fault)
        base, _, start = params.get("continue", f"{self._base(fault)}/0").partition("/")
        items = self._items(int(base), params.get("fieldSelector", "").removeprefix("metadata.name="))
        await self.page_delay()
        end = int(start) + PER_PAGE
        meta = {"resourceVersion": base, "continue": f"{base}/{end}" if end < len(items) else None}
        return json.dumps({"kind": "ServiceList", "metadata": meta, "items": items[int(start) : end]}).encode()

    async def lines(
        self, path: str, params: dict[str, str], on_accepted: Callable[[Callable[[], float]], None]
    ) -> Lines:
        """Send initial events where they are asked for, then the events after a version, and hold."""
        is_list = "sendInitialEvents" in params
        if is_list and not self._streams:
            raise ApiError("422 sendInitialEvents: Forbidden", 422)
        fault = self._begin(self.fault_at_all_watches or self.fault_everywhere)
        await asyncio.sleep(0)
        if fault in ("refuse", "unauthorized", "expired"):
            raise _failure(fault)
        on_accepted(lambda: 0.0)
        yield []
        if is_list:
            base = self._base(fault)
            lines = [faked.event("ADDED", one) for one in self._items(base)]
            if fault == "cut":
                yield lines[: len(lines) // 2]
                raise Interrupted("cut")
            yield [*lines, faked.initial_events_end(base)]
        else:
            base = int(params["resourceVersion"])
        async for batch in self._events(base, fault):
            yield batch

    async def _events(self, version: int, fault: str) -> Lines:
        while True:
            self._changed.clear()
            news = [change for change in self.history if change[0] > version]
            lines = [self._event(*change) for change in news if change[0] not in self.lost]
            await self.event_delay()
            if fault == "half":
                yield lines[: len(lines) // 2]
                raise Interrupted("cut")
            if fault == "twice":
                lines = [line for line in lines for _ in range(2)]
            if fault == "backwards" and self.history:
                lines.append(self._event(*self.history[0]))
            yield lines
            if fault == "garbage":
                yield [b"upstream timed out"]
            if fault == "error event":
                yield [faked.error(410, "Expired").strip()]
            if fault == "cut":
                raise Interrupted("cut")
            if fault == "end" or self.faults:
                return
            version = news[-1][0] if news else version
            await self._changed.wait()
            if self._is_ending:
                self._is_ending = False
                return

    def _items(self, version: int, name: str = "") -> list[dict[str, Any]]:
        """Return the objects at a version, or the one of a name, each with the version of its last change."""
        changed = {one: at for at, one, _ in self.history if at <= version}
        state = sorted(self.state(version).items())
        return [_service(one, address, changed[one]) for one, address in state if name in ("", one)]

    def _begin(self, lasting: str) -> str:
        self.requests += 1
        fault = lasting or (self.faults.pop(0) if self.faults else "")
        if self.changes_between:
            self.change(*self.changes_between.pop(0))
        return fault

    def _base(self, fault: str) -> int:
        return max(1, self.version // 2) if fault == "old" else self.version

    def _event(self, version: int, name: str, address: str) -> bytes:
        kind = "MODIFIED" if address else "DELETED"  # of a new object, too: what was added is known by its name
        return faked.event(kind, _service(name, address, version)).strip()


def _service(name: str, address: str, version: int) -> dict[str, Any]:
    return faked.service(name, address or "10.0.0.1", version=version)


async def _no_delay() -> None:
    await asyncio.sleep(0)


def _failure(fault: str) -> ApiError:
    if fault == "unauthorized":
        return ApiError("401 Unauthorized", 401)
    return Expired("410 Gone", 410) if fault == "expired" else ApiError("500 no leader", 500)
