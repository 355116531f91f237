"""The state of the API source in words: one log line when it changes, and the reason for `/ready`.

Each reflector reports under the label of its collection. A reason that several collections share (a server that is
down) is logged once, and a reason is logged once per outage of a collection, however often other reasons come between.
"""

import logging

_MAX_REASONS_PER_OUTAGE = 8

log = logging.getLogger("clusterdns.plugin.kubernetes")


class ApiStatus:
    """The collections that cannot be followed, and why. Written by the reflectors, read by the source."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._logged: dict[str, set[str]] = {}

    @property
    def reason(self) -> str:
        """Every reason with the collections that it concerns; empty while all is well."""
        labels: dict[str, list[str]] = {}
        for label, reason in self._reasons.items():
            labels.setdefault(reason, []).append(label)
        return "; ".join(f"{', '.join(sorted(several))}: {reason}" for reason, several in sorted(labels.items()))

    def broken(self, label: str, reason: str) -> None:
        """Record that a collection cannot be followed; its reflector retries."""
        is_known = reason in self._reasons.values()
        self._reasons[label] = reason
        logged = self._logged.setdefault(label, set())
        if reason in logged or len(logged) >= _MAX_REASONS_PER_OUTAGE:
            return
        logged.add(reason)
        if not is_known:
            log.warning("%s: %s; serving the last known state; retrying", label, reason)

    def works(self, label: str) -> None:
        """Record that a collection is followed, or followed again."""
        reason = self._reasons.pop(label, None)
        self._logged.pop(label, None)
        if reason is not None and reason not in self._reasons.values():
            log.info("%s: connected again, after: %s", label, reason)
