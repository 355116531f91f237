"""The document of the live picture, put together once a second. docs/dashboard.md lists its keys."""

import time
from itertools import zip_longest
from typing import Any

from clusterdns.host.resources import memory_limit_bytes, process_started_at, resident_bytes
from clusterdns.plugins.kubernetes.exports import ClusterView
from clusterdns.plugins.ready import status_document
from clusterdns.server.assembly import Configuration
from clusterdns.server.live.change_log import ChangeLog, iso_time
from clusterdns.server.live.clients import client_name
from clusterdns.server.live.observation import Observation
from clusterdns.server.live.rates import CounterRates
from clusterdns.server.live.reasons import Reasons
from clusterdns.telemetry.heavy_hitters import HeavyHitter
from clusterdns.wire import codes
from clusterdns.wire.name import to_text

MAX_TOP = 20
_STATUS_KEYS = ("state", "version", "corefile_sha512", "not_ready", "warnings")


class Picture:
    """What is collected, and the document of it."""

    def __init__(self, observation: Observation, changes: ChangeLog, rates: CounterRates, reasons: Reasons) -> None:
        self.observation = observation
        self.changes = changes
        self.reasons = reasons
        self._rates = rates
        self._limit_bytes = memory_limit_bytes()
        self._started = iso_time(process_started_at())
        self._cpu_seconds = time.process_time()
        self._cpu_share = 0.0

    def end_second(self, seconds: float) -> None:
        """Close a second, which has taken `seconds`."""
        self.observation.end_second(seconds)
        self.changes.end_second()
        self._rates.end_second(seconds)
        now = time.process_time()
        self._cpu_share = (now - self._cpu_seconds) / seconds
        self._cpu_seconds = now

    def document(self, configuration: Configuration, now: float) -> dict[str, Any]:
        """Put the document together; `now` is monotonic, for the ages of verdicts."""
        seen = self.observation
        status = status_document(configuration.shared)
        views = tuple(configuration.exports(ClusterView))
        nxdomain, servfail = seen.nxdomain.top(MAX_TOP), seen.servfail.top(MAX_TOP)
        failed = [one.key for pair in zip_longest(servfail, nxdomain) for one in pair if one is not None]
        self.reasons.look_into(configuration, failed, now)
        return {
            "at": iso_time(time.time()),
            "observed_seconds": round(seen.seconds, 3),
            **{key: status.pop(key) for key in _STATUS_KEYS if key in status},
            "sections": self._sections(status),
            "rates": {
                "questions": seen.per_second,
                "answers": dict(sorted(seen.codes_per_second.items(), key=lambda item: -item[1])),
                "unanswered": self._rates.unanswered(),
                "hit_ratio": seen.hit_ratio,
                "cache_hit_ratio": self._rates.cache_hit_ratio(),
                "p50_seconds": seen.durations.quantile(0.5),
                "p99_seconds": seen.durations.quantile(0.99),
            },
            "history": {
                "questions": [per_second for per_second, _ in seen.history],
                "p99_seconds": [p99 for _, p99 in seen.history],
            },
            "looked_at": seen.read_share,
            "clients": [
                {"address": one.key, "name": client_name(one.key, views), "per_second": one.per_second}
                for one in seen.clients.top(MAX_TOP)
            ],
            "names": [_question_row(one) for one in seen.names.top(MAX_TOP)],
            "nxdomain": [self._failed_row(one) for one in nxdomain],
            "servfail": [self._failed_row(one) for one in servfail],
            "changes": self.changes.rows(),
            "process": self._process(configuration),
            "shed": [
                {"source": one.key[0], "per_second": one.per_second, "why": one.key[1]}
                for one in seen.shed_clients.top(MAX_TOP)
            ],
        }

    def _sections(self, status: dict[str, Any]) -> dict[str, Any]:
        """Return the sections of /status, with rate and latency for upstreams."""
        measured = self._rates.upstreams()
        upstreams = []
        for row in status.get("upstreams", ()):
            per_second, mean_seconds = measured.get(row["to"], (0.0, None))
            upstreams.append({**row, "per_second": per_second, "mean_seconds": mean_seconds})
        return {**status, "upstreams": upstreams} if upstreams else status

    def _failed_row(self, found: HeavyHitter[bytes]) -> dict[str, Any]:
        return {**_question_row(found), "why": self.reasons.text(found.key)}

    def _process(self, configuration: Configuration) -> dict[str, Any]:
        budgets = configuration.shared.budgets
        return {
            "workers": 1,
            "cpu_share": self._cpu_share,
            "resident_bytes": resident_bytes(),
            "limit_bytes": self._limit_bytes,
            "answers_bytes": sum(budget.used_bytes for budget in budgets),
            "answers_limit_bytes": sum(budget.most_bytes for budget in budgets),
            "started": self._started,
        }


def _question_row(found: HeavyHitter[bytes]) -> dict[str, Any]:
    qtype = int.from_bytes(found.key[-2:], "big")
    return {"name": to_text(found.key[:-2]), "type": codes.type_text(qtype), "per_second": found.per_second}
