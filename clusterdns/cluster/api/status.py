"""How the API source is doing, in words: one log line when a state changes, and the reason for `/ready`.

Each watch reports under its own label; what several of them suffer from alike (a server that is down) is logged once.
A reason is logged once per outage of a label, however often it comes back between other reasons.
"""

import logging

_MAX_REASONS_PER_OUTAGE = 8

log = logging.getLogger("clusterdns.plugin.kubernetes")


class Status:
    """Which watches are broken, and why. Written by the watches, read by the source."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._told: dict[str, set[str]] = {}

    @property
    def reason(self) -> str:
        """Why something is broken, or empty."""
        labels: dict[str, list[str]] = {}
        for label, reason in self._reasons.items():
            labels.setdefault(reason, []).append(label)
        return "; ".join(f"{', '.join(sorted(who))}: {reason}" for reason, who in sorted(labels.items()))

    def broken(self, label: str, reason: str) -> None:
        """A watch does not work for this reason; it will be tried again."""
        is_known = reason in self._reasons.values()
        self._reasons[label] = reason
        told = self._told.setdefault(label, set())
        if reason in told or len(told) >= _MAX_REASONS_PER_OUTAGE:
            return
        told.add(reason)
        if not is_known:
            log.warning("%s: %s; names stay served as last known, trying again", label, reason)

    def works(self, label: str) -> None:
        """A watch works (again)."""
        reason = self._reasons.pop(label, None)
        self._told.pop(label, None)
        if reason is not None and reason not in self._reasons.values():
            log.info("%s: connected again, after: %s", label, reason)
