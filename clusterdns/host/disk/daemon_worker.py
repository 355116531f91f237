"""A thread for calls that a hanging disk may block for ever, such as writing and syncing a file.

The event loop waits for none of them, and neither does the end of the process: the threads of `asyncio.to_thread` are
joined there, this one is not.
"""

import _thread
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

IDLE_SECONDS = 1.0  # without a call, after which the thread ends

_Job = tuple["Future[Any]", Callable[[], Any]]


class DaemonWorker:
    """Makes blocking calls one after the other, in a thread of its own that exists while there are any."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_running = False

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Make a call after those submitted before; its result or exception is the future's."""
        future: Future[T] = Future()
        with self._lock:
            self._jobs.put((future, call))
            if not self._is_running:
                self._is_running = True
                _thread.start_new_thread(self._work, ())  # `threading.Thread` waits until the new thread runs
        return future

    def _work(self) -> None:
        while True:
            try:
                self._finish(*self._jobs.get(timeout=IDLE_SECONDS))
            except Empty:
                with self._lock:
                    if self._jobs.empty():
                        self._is_running = False
                        return

    def _finish(self, future: "Future[T]", call: Callable[[], T]) -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001  # raised where the future is awaited
                future.set_exception(error)
