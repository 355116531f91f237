"""Why the top names fail: one explanation at a time, each kept for a while. `picture` shows them."""

import asyncio
import logging
from collections.abc import Iterable

from clusterdns.host.imports import import_in_thread
from clusterdns.server.assembly import Configuration
from clusterdns.wire import codes
from clusterdns.wire.name import to_text

KEEP_SECONDS = 30.0
MAX_KEPT = 256

log = logging.getLogger("clusterdns")


class Reasons:
    """The verdicts on questions that failed."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, float]] = {}  # the verdict of a question, and when it was found
        self._task: asyncio.Task[None] | None = None

    def text(self, question: bytes) -> str:
        """Return the verdict on a question; empty where it is not known yet."""
        return self._known.get(question, ("", 0.0))[0]

    def look_into(self, configuration: Configuration, questions: Iterable[bytes], now: float) -> None:
        """Begin to explain the first question whose verdict is missing or old, unless an explanation is under way."""
        if self._task is not None and not self._task.done():
            return
        for question in questions:
            known = self._known.get(question)
            if known is None or now - known[1] > KEEP_SECONDS:
                self._task = asyncio.create_task(self._explain(configuration, question, now), name="why a name fails")
                return

    def stop(self) -> None:
        """Give up an explanation that is under way."""
        if self._task is not None:
            self._task.cancel()

    async def _explain(self, configuration: Configuration, question: bytes, now: float) -> None:
        engine = await import_in_thread("clusterdns.server.explaining.engine")
        qtype = codes.type_text(int.from_bytes(question[-2:], "big"))
        try:
            found = await engine.Explainer(configuration).explain(engine.ExplainRequest(to_text(question[:-2]), qtype))
            text = found.verdict.line
        except engine.ExplainError as error:
            text = str(error)
        except Exception:  # the task's edge: the picture goes without this verdict
            log.exception("cannot explain %s %s for the live picture", to_text(question[:-2]), qtype)
            text = "not explained; the log has details"
        self._known.pop(question, None)
        self._known[question] = text, now
        while len(self._known) > MAX_KEPT:
            del self._known[next(iter(self._known))]
