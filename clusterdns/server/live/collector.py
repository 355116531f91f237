"""The collector of the live picture: begins with a viewer, renews the picture each second, ends after the last viewer.

There is one per process, so that a reload interrupts nothing; each configuration has a `view` of it. `observation` and
`change_log` collect, `picture` puts the document together.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from clusterdns.plugins.kubernetes.changes import ObjectChanges
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.server.assembly import Configuration
from clusterdns.server.live.change_log import ChangeLog
from clusterdns.server.live.observation import Observation
from clusterdns.server.live.picture import Picture
from clusterdns.server.live.rates import CounterRates
from clusterdns.server.live.reasons import Reasons
from clusterdns.server.tap import Tap

LOOK_SECONDS = 30.0  # after the last look the collection ends
PERIOD_SECONDS = 1.0

log = logging.getLogger("clusterdns")


class LiveCollector:
    """The collection for all viewers of the process."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._picture: Picture | None = None
        self._configuration: Configuration | None = None
        self._changes: tuple[ObjectChanges, ...] = ()  # those whose observer is this collector
        self._document: Mapping[str, Any] = {}
        self._looked_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def look(self, configuration: Configuration) -> Mapping[str, Any]:
        """Return the document of this second, of the configuration that was looked at last."""
        self._looked_at = _now()
        if self._picture is None:
            self._begin(configuration)
        elif configuration is not self._configuration:
            self._follow(configuration)
        return self._document

    def leave(self, configuration: Configuration) -> None:
        """Let go of a configuration that has ended; the next look goes on with another one."""
        if configuration is self._configuration:
            self._follow(None)

    def _begin(self, configuration: Configuration) -> None:
        self._picture = Picture(Observation(), ChangeLog(), CounterRates(configuration.registry), Reasons())
        self._tap.observer = self._picture.observation
        self._follow(configuration)
        self._document = self._picture.document(configuration, _now())
        self._task = asyncio.get_running_loop().create_task(self._run(), name="live picture")

    def _follow(self, configuration: Configuration | None) -> None:
        """Observe the changes of this configuration's clusters, and no longer those of the previous one's."""
        for one in self._changes:
            one.observer = None
        self._configuration = configuration
        views = () if configuration is None else configuration.exports(ClusterView)
        self._changes = tuple(view.changes for view in views)
        for one in self._changes:
            one.observer = None if self._picture is None else self._picture.changes.add

    async def _run(self) -> None:
        began = _now()
        while began - self._looked_at < LOOK_SECONDS:
            await asyncio.sleep(PERIOD_SECONDS)
            now = _now()
            try:
                self.end_second(now - began)
            except Exception:  # the task's edge: the picture stays as it is, DNS is answered
                log.exception("cannot renew the live picture")
            began = now
        self._end()

    def end_second(self, seconds: float) -> None:
        """Renew the picture after this time."""
        assert self._picture is not None
        self._picture.end_second(seconds)
        if self._configuration is not None:
            self._document = self._picture.document(self._configuration, _now())

    def _end(self) -> None:
        """Collect nothing any more."""
        self._tap.observer = None
        self._follow(None)
        if self._picture is not None:
            self._picture.reasons.stop()
        self._picture = self._task = None
        self._document = {}


def _now() -> float:
    return asyncio.get_running_loop().time()
