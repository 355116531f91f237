"""What a `cache` directive says, as values: how many replies, for how long, and what of those that have expired."""

from dataclasses import dataclass, field

from clusterdns.wire.name import is_under

MAX_TTL_SECONDS = 2**31 - 1  # RFC 2181 §8


@dataclass(frozen=True)
class Share:
    """How one of the two stores is kept: `success` for answers, `denial` for the rest."""

    capacity: int = 9984
    max_ttl_seconds: int = 3600
    min_ttl_seconds: int = 5
    disabled: tuple[bytes, ...] = ()  # zones whose names are not kept

    def keeps(self, name: bytes) -> bool:
        """Whether names like this are kept."""
        return not self.disabled or not any(is_under(name, zone) for zone in self.disabled)

    def bounded(self, ttl: int) -> int:
        """A TTL raised to the least and cut at the most, which wins."""
        return min(max(ttl, self.min_ttl_seconds), self.max_ttl_seconds, MAX_TTL_SECONDS)


@dataclass(frozen=True)
class Prefetch:
    """Names asked `amount` times, with no pause of more than `pause_seconds`, are refreshed before they expire."""

    amount: int = 0  # 0: off
    pause_seconds: float = 60.0
    percent: int = 10  # of the TTL, that is left when it is time


@dataclass(frozen=True)
class Stale:
    """For how long what has expired may still be given, and when."""

    seconds: float = 0.0  # 0: never
    is_verified: bool = False  # ask upstream first, at most `patience_seconds` where that is not 0
    patience_seconds: float = 0.0
    ttl_seconds: int = 0
    recheck_seconds: float = 0.0  # after a refresh that failed
    prefers_answers: bool = False  # only an answer takes the place of an answer


@dataclass(frozen=True)
class Settings:
    """One cache directive."""

    zones_text: tuple[str, ...]
    zones: tuple[bytes, ...]
    success: Share = field(default_factory=Share)
    denial: Share = field(default_factory=lambda: Share(max_ttl_seconds=1800))
    prefetch: Prefetch = field(default_factory=Prefetch)
    stale: Stale = field(default_factory=Stale)
    failure_seconds: float = 5.0
    keeps_ttl: bool = False
