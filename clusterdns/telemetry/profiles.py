"""Profiles of the process as text: tasks, threads, memory and CPU time. The `pprof` plugin serves them.

`profile_text` and `heap_text` take long: call them in a thread, between whose steps the event loop runs.
"""

import asyncio
import gc
import io
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from traceback import format_stack
from types import FrameType

SAMPLE_SECONDS = 0.01
MOST_ROWS = 40
STEP_OBJECTS = 10_000
_STATUS = Path("/proc/self/status")


def tasks_text(tasks: Iterable["asyncio.Task[object]"]) -> str:
    """Return every task with its name and its stack."""
    shown = io.StringIO()
    for task in sorted(tasks, key=lambda task: task.get_name()):
        shown.write(f"task {task.get_name()}\n")
        task.print_stack(file=shown)
        shown.write("\n")
    return shown.getvalue()


def threads_text() -> str:
    """Return every thread with its stack."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    shown = []
    for ident, frame in sys._current_frames().items():
        shown.append(f"thread {names.get(ident, ident)}\n{''.join(format_stack(frame))}\n")
    return "".join(shown)


def heap_text() -> str:
    """Return the memory of the process, objects by type, and allocations by line where tracemalloc is on."""
    lines = [line for line in _status_lines() if line.startswith(("VmHWM", "VmRSS", "VmSwap", "Threads"))]
    counts = _object_counts()
    lines += [
        "",
        f"{counts.total():,} objects in the garbage collector:",
        *(f"{count:>10,}  {kind.__module__}.{kind.__qualname__}" for kind, count in counts.most_common(MOST_ROWS)),
    ]
    if tracemalloc.is_tracing():
        lines += ["", "allocations by line:"]
        lines += map(str, tracemalloc.take_snapshot().statistics("lineno")[:MOST_ROWS])
    return "\n".join(lines) + "\n"


def _object_counts() -> Counter[type]:
    """Count objects by type, in steps, because no other thread runs during a step."""
    counts: Counter[type] = Counter()
    gc.unfreeze()  # `get_objects` leaves frozen objects out, which are nearly all (see `host.collector`)
    objects = gc.get_objects()
    gc.freeze()
    for start in range(0, len(objects), STEP_OBJECTS):
        counts.update(map(type, objects[start : start + STEP_OBJECTS]))
        time.sleep(0)
    return counts


def _status_lines() -> list[str]:
    try:
        return _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return []


def profile_text(seconds: float, ended: threading.Event) -> str:
    """Sample the stacks of all other threads until the time is over or `ended` is set: lines `outer;inner;… COUNT`."""
    own = threading.get_ident()
    stacks: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until and not ended.wait(SAMPLE_SECONDS):
        for ident, frame in sys._current_frames().items():
            if ident != own:
                stacks[_stack_text(frame)] += 1
    return "".join(f"{stack} {count}\n" for stack, count in stacks.most_common())


def _stack_text(frame: FrameType | None) -> str:
    names = []
    while frame is not None:
        names.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}")
        frame = frame.f_back
    return ";".join(reversed(names))
