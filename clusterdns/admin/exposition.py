"""The exposition at /metrics: the registry and the process's own metrics, in the format that the scraper accepts.

Rendering runs on the event loop in small pieces, with a turn of the loop after each. A thread would delay DNS more: the
DNS listeners release the interpreter lock in each socket call, and would wait a switch interval (5 ms) to get it back.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from prometheus_client import REGISTRY as PROCESS_REGISTRY  # process_* and python_*
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from clusterdns.telemetry.families import exposed
from clusterdns.telemetry.metrics import Registry

PIECE_SAMPLES = 250  # about a millisecond

_END = b"# EOF\n"  # how OpenMetrics text ends


async def expose(registry: Registry, accept: str) -> tuple[bytes, str]:
    """Return the exposition and its content type for a scraper that sent this Accept header."""
    encode, content_type = _negotiate(accept)
    for _ in registry.flush():
        await asyncio.sleep(0)
    pieces = []
    for metric in chain(exposed(registry), PROCESS_REGISTRY.collect()):
        for piece in _pieces(metric, encode):
            pieces.append(piece)
            await asyncio.sleep(0)
    if content_type.startswith("application/openmetrics-text"):
        pieces.append(_END)
    return b"".join(pieces), content_type


def _negotiate(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept)
    except TypeError:  # prometheus_client 0.26 compares versions that are not numbers
        return choose_encoder("")


class _Piece(Collector):
    """A collector of one metric, because prometheus_client encodes collectors."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _pieces(metric: Metric, encode: Callable[[Collector], bytes]) -> Iterator[bytes]:
    """Encode a metric in pieces of bounded size, the first one with HELP and TYPE; none where it has no samples."""
    samples = metric.samples
    for start in range(0, len(samples), PIECE_SAMPLES):
        part = Metric(metric.name, metric.documentation, metric.type, metric.unit)
        part.samples = samples[start : start + PIECE_SAMPLES]
        text = encode(_Piece(part)).removesuffix(_END)
        while start and text.startswith(b"#"):
            text = text[text.index(b"\n") + 1 :]
        yield text
