"""The worker makes calls in order, in one thread that nobody waits for."""

import subprocess
import sys
import threading
from functools import partial

import pytest

from clusterdns.host.disk import daemon_worker
from clusterdns.host.disk.daemon_worker import DaemonWorker


def test_calls_are_made_in_order_in_one_other_thread() -> None:
    worker = DaemonWorker()
    made: list[int] = []

    def note(number: int) -> int:
        made.append(number)
        return threading.get_ident()

    results = [worker.submit(partial(note, number)) for number in range(50)]
    threads = {one.result() for one in results}
    assert made == list(range(50))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_an_exception_is_that_of_the_call_and_later_calls_are_made() -> None:
    worker = DaemonWorker()
    failing = worker.submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failing.result()
    assert worker.submit(lambda: "made").result() == "made"


def test_a_call_that_was_cancelled_in_time_is_not_made() -> None:
    worker, may_go_on = DaemonWorker(), threading.Event()
    made: list[int] = []
    blocked = worker.submit(may_go_on.wait)
    cancelled = worker.submit(lambda: made.append(1))
    assert cancelled.cancel()
    may_go_on.set()
    assert blocked.result()
    assert worker.submit(lambda: made.append(2)).result() is None
    assert made == [2]


def test_the_thread_ends_when_idle_and_a_later_call_has_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_worker, "IDLE_SECONDS", 0.0)
    worker = DaemonWorker()
    threads = set()
    for number in range(200):
        threads.add(worker.submit(threading.get_ident).result())
        assert worker.submit(partial(abs, -number)).result() == number  # perhaps while the thread ends
    assert threading.get_ident() not in threads


def test_a_call_that_never_returns_does_not_delay_the_end_of_the_process() -> None:
    text = (
        "import threading; from clusterdns.host.disk.daemon_worker import DaemonWorker\n"
        "DaemonWorker().submit(lambda: print('blocked', flush=True) or threading.Event().wait())\n"
        "print('end', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True)
    assert "end" in done.stdout
    assert done.stderr == ""
