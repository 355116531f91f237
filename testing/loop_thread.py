"""An event loop in a thread of its own, for servers that answer while their caller waits for something else."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

CALL_SECONDS = 5.0


class LoopThread:
    """The loop and its thread, between `start` and `stop`."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def call(self, what: Coroutine[Any, Any, None]) -> None:
        """Have something done in it, and wait for that. Raises TimeoutError, and what it raises."""
        asyncio.run_coroutine_threadsafe(what, self.loop).result(CALL_SECONDS)

    def stop(self) -> None:
        """End; what still runs in it is left as it is."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CALL_SECONDS)
        self.loop.close()
