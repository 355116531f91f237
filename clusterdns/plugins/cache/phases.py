"""Phases: the moments in each second at which the TTLs of cached replies count down.

A cached reply is compiled like any other answer, but its TTL must decrease once a second. Entries that are stored in
the same sixteenth of any second belong to one phase: they count down at the same moments. The compiled answers of a
phase depend on the phase, and one timer has them forgotten. A phase without compiled answers has no timer.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

PHASES = 16  # per second

Clock = Callable[[], float]


class CancellableTimer(Protocol):
    """What the event loop's `call_later` returns."""

    def cancel(self) -> None:
        """Cancel the call."""


CallLater = Callable[[float, Callable[[], None]], CancellableTimer]


class Phase:
    """A dependency of the compiled answers that count down at the same moments."""

    __slots__ = ("offset", "timer")

    def __init__(self, offset: float) -> None:
        self.offset = offset  # of those moments within a second of the clock
        self.timer: CancellableTimer | None = None


class Phases:
    """The phases of one cache, with their timers."""

    def __init__(self, forget: Callable[[Iterable[Hashable]], None], clock: Clock, call_later: CallLater) -> None:
        self._forget = forget
        self._clock = clock
        self._call_later = call_later
        self._phases = tuple(Phase(number / PHASES) for number in range(PHASES))

    def stored_now(self) -> tuple[float, Phase]:
        """Return the moment from which the TTL of an entry stored now counts down, and its phase."""
        step = math.floor(self._clock() * PHASES)
        return step / PHASES, self._phases[step % PHASES]

    def hold(self, phase: Phase, now: float) -> float:
        """Return until when replies of this phase may be compiled, and have them forgotten then."""
        seconds = 1 - (now - phase.offset) % 1
        if phase.timer is None:
            phase.timer = self._call_later(seconds, lambda: self._end(phase))
        return now + seconds

    def close(self) -> None:
        """Cancel all timers."""
        for phase in self._phases:
            if phase.timer is not None:
                phase.timer.cancel()
                phase.timer = None

    def _end(self, phase: Phase) -> None:
        phase.timer = None
        self._forget((phase,))
