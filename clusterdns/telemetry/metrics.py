"""Counters, gauges and histograms, and the registry that a scrape reads.

A `Registry` makes each metric family once per process. A series is a plain object whose number is changed in place, so
that counting costs an attribute access; `families` hands them to `prometheus_client`, which writes the exposition. As
in CoreDNS, a family without labels shows 0 from the start, one with labels shows a series from its first use.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class Series:
    """One time series of a counter or gauge: its users add to `value` or set it."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0


class Histogram:
    """One time series of a histogram: observations per bucket, upper bounds inclusive, the last one +Inf."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count `times` observations of `value`."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


S = TypeVar("S", Series, Histogram)


class Family(Generic[S]):
    """The time series of one metric, by their label values."""

    def __init__(self, kind: str, name: str, text: str, labels: tuple[str, ...], make: Callable[[], S]) -> None:
        self.kind = kind
        self.name = name
        self.text = text
        self.label_names = labels
        self.series: dict[tuple[str, ...], S] = {}
        self._make: Callable[[], S] = make
        if not labels:
            self.series[()] = make()

    def labels(self, *values: str) -> S:
        """Return the series with these label values, made on first use. Raises ValueError for a wrong number."""
        found = self.series.get(values)
        if found is None:
            if len(values) != len(self.label_names):
                raise ValueError(f"{self.name} has labels {self.label_names}, got {values}")
            found = self.series[values] = self._make()
        return found

    def clear(self) -> None:
        """Drop every series, as before a reload that changes the label values."""
        self.series.clear()
        if not self.label_names:
            self.series[()] = self._make()


class ComputedMetrics(Protocol):
    """Metrics whose numbers are computed at each scrape: called first then."""

    def __init__(self, registry: "Registry", /) -> None: ...

    def __call__(self) -> None: ...


C = TypeVar("C", bound=ComputedMetrics)


class Registry:
    """The metric families of the process by name. The same name always returns the same family."""

    def __init__(self) -> None:
        self._families: dict[str, Family[Series] | Family[Histogram]] = {}
        # called by `flush`, for counts that are kept elsewhere; may return the steps that are left to be taken
        self.before_scrape: list[Callable[[], Iterable[None] | None]] = []

    def counter(self, name: str, text: str, *labels: str) -> Family[Series]:
        """Return the family of counters with this name, which ends in `_total`."""
        return self._family("counter", name, text, labels, Series)

    def gauge(self, name: str, text: str, *labels: str) -> Family[Series]:
        """Return the family of gauges with this name."""
        return self._family("gauge", name, text, labels, Series)

    def histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Family[Histogram]:
        """Return the family of histograms with this name; +Inf is implied in the upper bounds."""
        return self._family("histogram", name, text, labels, lambda: Histogram(bounds))

    def _family(self, kind: str, name: str, text: str, labels: tuple[str, ...], make: Callable[[], S]) -> Family[S]:
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = Family(kind, name, text, labels, make)
        if (found.kind, found.label_names) != (kind, labels):
            raise ValueError(f"metric {name} exists as a {found.kind} with labels {found.label_names}")
        return found  # type: ignore[return-value]  # the kind decides the series type

    def computed(self, kind: type[C]) -> C:
        """Return the metrics of a class, which are made on first use."""
        found = next((one for one in self.before_scrape if isinstance(one, kind)), None)
        if found is None:
            found = kind(self)
            self.before_scrape.append(found)
        return found

    def flush(self) -> Iterator[None]:
        """Bring the families up to date, in steps; the caller may let other tasks run between two of them."""
        for flush in tuple(self.before_scrape):
            for _ in flush() or ():
                yield
            yield

    def counters_by(self, label: str) -> Iterator[Family[Series]]:
        """Yield the families of counters whose first label is this one."""
        for family in self._families.values():
            if family.kind == "counter" and family.label_names[:1] == (label,):
                yield family  # type: ignore[misc]  # the kind decides the series type

    def families(self) -> tuple[Family[Series] | Family[Histogram], ...]:
        """Return the families as they are, a copy: a family may be made between two steps of a scrape."""
        return tuple(self._families.values())
