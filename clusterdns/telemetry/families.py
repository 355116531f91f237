"""The registry's families as `prometheus_client` writes them, which a start does not need: a scrape imports this."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from clusterdns.telemetry.metrics import Family, Histogram, Registry, Series


def exposed(registry: Registry) -> Iterator[Metric]:
    """Yield the families as they are, for one scrape; `Registry.flush` comes first."""
    for family in registry.families():
        yield _exposed(family)


def _exposed(family: Family[Series] | Family[Histogram]) -> Metric:
    names = family.label_names
    if family.kind == "histogram":
        exposed = HistogramMetricFamily(family.name, family.text, labels=names)
        for values, one in family.series.items():
            assert isinstance(one, Histogram)
            exposed.add_metric(values, list(_cumulated(one)), one.total)
        return exposed
    make = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    plain = make(family.name, family.text, labels=names)
    for values, series in family.series.items():
        assert isinstance(series, Series)
        plain.add_metric(values, series.value)
    return plain


def _cumulated(histogram: Histogram) -> Iterator[tuple[str, float]]:
    running = 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        running += count
        yield ("+Inf" if bound == float("inf") else format(bound, "g"), running)
