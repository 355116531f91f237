"""Audits the collections of a source in turn, once per interval, and reports what differed.

An audit never disturbs the watch: a failure is logged once and counted, a Retry-After is respected, and the next round
begins at its time. Rounds begin at random moments, so that replicas of a DaemonSet ask at different times.
"""

import logging
from collections.abc import Sequence

from clusterdns.cluster.api.audit.comparison import AbandonedAudit, AuditFinding, Comparison
from clusterdns.cluster.api.audit.metadata import PAGE_LIMIT
from clusterdns.cluster.api.errors import ApiError
from clusterdns.cluster.api.follow.retry import Timing
from clusterdns.cluster.api.follow.watch import Followed
from clusterdns.cluster.objects import shown_key
from clusterdns.telemetry.metrics import Registry

LEAST_JITTER, MOST_JITTER = 0.9, 1.1
MAX_PAUSE_SECONDS = 1.0  # between two requests: the API server keeps the state of a list for about a minute
_SHARE = 0.5  # of the interval, in which a round is complete
_NAMED = 5  # objects, by a log line

log = logging.getLogger("clusterdns.plugin.kubernetes")


class AuditRounds:
    """The audits of one source. `run` in a task of its own, until that is cancelled."""

    def __init__(
        self, collections: Sequence[Followed], interval_seconds: float, registry: Registry, timing: Timing
    ) -> None:
        self._collections = collections
        self._interval_seconds = interval_seconds
        self._timing = timing
        self._failures: dict[str, str] = {}  # the last one, by the label of the collection
        self._audits = registry.counter(
            "clusterdns_audits_total", "Comparisons of what is known with the API server's metadata.", "kind", "result"
        )
        self._differences = registry.counter(
            "clusterdns_audit_differences_total", "Objects that differed, because an event was lost.", "kind"
        )

    async def run(self) -> None:
        """Audit until cancelled. The first round begins anywhere in the first interval."""
        timing = self._timing
        next_at = timing.clock() + timing.uniform(0.0, MOST_JITTER) * self._interval_seconds
        while True:
            await timing.sleep(max(0.0, next_at - timing.clock()))
            next_at = timing.clock() + timing.uniform(LEAST_JITTER, MOST_JITTER) * self._interval_seconds
            for followed in self._collections:
                await self._audit(followed)

    async def _audit(self, followed: Followed) -> None:
        """Audit one collection, whatever happens, and pause."""
        kind, pause_seconds = followed.store.kind.__name__, self._pause_seconds()
        try:
            differences = await Comparison(followed, pause_seconds).run()
        except AbandonedAudit as error:
            log.debug("%s: audit abandoned: %s", followed.collection.label, error)
            self._audits.labels(kind, "abandoned").value += 1
        except ApiError as error:
            self._note_failed(followed, str(error))
            await self._timing.sleep(min(error.retry_after_seconds, self._interval_seconds))
        except Exception as error:  # an internal error must not end the audits
            if repr(error) != self._failures.get(followed.collection.label):
                log.exception("%s: the audit failed", followed.collection.label)
            self._note_failed(followed, repr(error))
        else:
            self._failures.pop(followed.collection.label, None)
            self._audits.labels(kind, "complete").value += 1
            self._differences.labels(kind).value += len(differences)
            followed.freshness.audited()
            if differences:
                log.warning("%s", _text(followed.collection.label, differences))
        await self._timing.sleep(pause_seconds)

    def _note_failed(self, followed: Followed, reason: str) -> None:
        label = followed.collection.label
        self._audits.labels(followed.store.kind.__name__, "failed").value += 1
        if self._failures.get(label) != reason:
            self._failures[label] = reason
            log.warning(
                "%s: audit failed: %s; the watch goes on, and the next audit is in about %.0fs",
                label, reason, self._interval_seconds,
            )  # fmt: skip

    def _pause_seconds(self) -> float:
        """Return the time between two requests, for which a round takes half of the interval at most."""
        requests = sum(1 + followed.store.count() // PAGE_LIMIT for followed in self._collections)
        return min(MAX_PAUSE_SECONDS, _SHARE * self._interval_seconds / requests)


def _text(label: str, differences: list[AuditFinding]) -> str:
    """Return the log line of an audit that has found something."""
    shown = [f"{shown_key(key)} ({what})" for key, what in differences[:_NAMED]]
    if len(differences) > _NAMED:
        shown.append(f"{len(differences) - _NAMED} more")
    return (
        f"{label}: corrected what an audit found to differ from the API server: {', '.join(shown)}; the watch has lost "
        "the events; check proxies and load balancers between this server and the API server"
    )
