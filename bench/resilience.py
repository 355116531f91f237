"""The measurements under faults: stampedes, forged replies, dead upstreams, TCP-only upstreams, reloads under load.

The servers run kubeadm's Corefile. Each faulty upstream has a `forward` and a zone of its own beside `.`, so that one
pair of servers serves all measurements. This module sends questions that have to arrive together; dnsperf sends those
that have a rate.
"""

import itertools
import select
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from bench import load, objects
from bench.forwarding import new_names
from bench.results import Figures
from bench.rounds import Effort, shuffled, turns
from bench.servers import COREDNS, EXTERNAL, OURS, MeasuredServer, external_names, kubeadm_pair
from bench.upstreams import FORGED, GENUINE, BenchUpstream
from testing import dns_client
from testing.ports import LOOPBACK
from testing.process import ServerFailed
from testing.upstream.black_hole import black_hole

STAMPEDE = IN_FLIGHT = 1_000
STAMPEDE_PAUSE_SECONDS = 0.05
STREAM_PAUSE_SECONDS = 0.5  # long enough for all questions to be open at the same time
FORGERIES = 100_000
FORGED_QUESTIONS = 4
DEAD_PER_SECOND = 500
DEAD_SHARE = 0.3  # of CoreDNS's maximum rate: two load generators and an upstream share the cores
DEAD_WARM_SECONDS = 2.5  # until the server has marked the upstream down, and open questions have reached their maximum
LATENCY_SECONDS = 2
RELOADS = 20
RELOAD_ROUNDS = 2  # at most: each takes as long as five other measurements
RELOADED_PER_SECOND = 5_000
RELOADED_SECONDS = 14
RELOAD_EVERY_SECONDS = 0.5
RELOAD_LIMIT_SECONDS = 10
BURST_LIMIT_SECONDS = 10
_RELOADED = "Reloading complete"
_CHUNK = 25  # per ms: a receive buffer of default size holds some 250 small datagrams


@dataclass(frozen=True)
class FaultyUpstreams:
    """The two servers, and their faulty upstreams."""

    runners: list[MeasuredServer]
    slow: BenchUpstream
    forging: BenchUpstream
    streaming: dict[str, BenchUpstream]  # one per server, because connections stay open


class Burst(NamedTuple):
    """The replies to questions that were sent together."""

    replies: list[bytes]
    last_answer_seconds: float


@contextmanager
def faulty_upstreams(kubeconfig: Path, folder: Path, upstream: str) -> Iterator[FaultyUpstreams]:
    """Run the upstreams and the servers."""
    with ExitStack() as running:
        slow = running.enter_context(BenchUpstream(STAMPEDE_PAUSE_SECONDS))
        forging = running.enter_context(BenchUpstream(forgery_count=FORGERIES))
        streaming = {name: running.enter_context(BenchUpstream(STREAM_PAUSE_SECONDS)) for name in (OURS, COREDNS)}
        dead_host, dead_port = running.enter_context(black_hole())
        others = {
            f"slow.{EXTERNAL}": (slow.address, ""),
            f"forged.{EXTERNAL}": (forging.address, ""),
            f"stream.{EXTERNAL}": ("{$BENCH_STREAMING}", "force_tcp"),
            f"dead.{EXTERNAL}": (f"{dead_host}:{dead_port}", ""),
        }
        envs = {name: {"BENCH_STREAMING": one.address} for name, one in streaming.items()}
        runners = running.enter_context(kubeadm_pair(kubeconfig, folder, upstream, others, envs))
        yield FaultyUpstreams(runners, slow, forging, streaming)


def stampede(faulty: FaultyUpstreams, effort: Effort, figures: Figures) -> None:
    """Ask one name a thousand times before its upstream answers."""
    names = (name for name, _ in new_names(f"slow.{EXTERNAL}"))
    for runner in turns(faulty.runners, effort):
        faulty.slow.forget()
        found = burst(runner.port, [next(names)] * STAMPEDE)
        figures.add("stampede_upstream_queries", runner.name, faulty.slow.query_count)
        figures.add("stampede_unanswered", runner.name, STAMPEDE - _genuine(found.replies))
        figures.add("stampede_ms", runner.name, found.last_answer_seconds * 1000)


def spoofing(faulty: FaultyUpstreams, figures: Figures) -> None:
    """Ask an upstream that sends 100,000 forged replies before each genuine one."""
    names = (name for name, _ in new_names(f"forged.{EXTERNAL}"))
    for runner in [*faulty.runners] * FORGED_QUESTIONS:
        found = burst(runner.port, [next(names)])
        figures.add("forged_accepted", runner.name, sum(FORGED in reply for reply in found.replies))
        figures.add("forged_undelivered", runner.name, 1 - _genuine(found.replies))


def dead(faulty: FaultyUpstreams, folder: Path, effort: Effort, figures: Figures) -> None:
    """Measure the cluster's names while external names are forwarded to a dead upstream, and to a live one."""
    path = folder / "cluster-names"
    count = load.write_questions(path, shuffled(objects.questions()))
    (theirs,) = (one for one in faulty.runners if one.name == COREDNS)
    for runner in faulty.runners:
        load.flat_out(runner.port, path, 1, "NOERROR")
    most = load.flat_out(theirs.port, path, 1 + 100_000 // count, "NOERROR", LATENCY_SECONDS).answers_per_second
    for runner in turns(faulty.runners, effort):
        for side, zone in (("live", "new"), ("dead", "dead")):
            external = folder / f"external-{side}"
            load.write_questions(external, itertools.islice(new_names(f"{zone}.{EXTERNAL}"), 20 * DEAD_PER_SECOND))
            with load.in_background(runner.port, external, DEAD_PER_SECOND):
                time.sleep(DEAD_WARM_SECONDS if side == "dead" else 0.5)
                found = load.at_rate(runner.port, path, int(DEAD_SHARE * most), LATENCY_SECONDS, "NOERROR")
            figures.add(f"{side}_lost", runner.name, found.lost)
            figures.add(f"{side}_p99_us", runner.name, found.percentile_seconds(99) * 1e6)


def streams(faulty: FaultyUpstreams, effort: Effort, figures: Figures) -> None:
    """Ask a thousand different names that are forwarded over TCP only."""
    names = (name for name, _ in new_names(f"stream.{EXTERNAL}"))
    for runner in turns(faulty.runners, effort):
        streaming = faulty.streaming[runner.name]
        streaming.forget()
        found = burst(runner.port, list(itertools.islice(names, IN_FLIGHT)))
        figures.add("stream_connections", runner.name, streaming.most_open)
        figures.add("stream_in_flight", runner.name, streaming.most_pending)
        figures.add("stream_unanswered", runner.name, IN_FLIGHT - _genuine(found.replies))
        figures.add("stream_ms", runner.name, found.last_answer_seconds * 1000)


def reloads(runners: list[MeasuredServer], folder: Path, effort: Effort, figures: Figures) -> None:
    """Reload 20 times under 5,000 queries a second, for the cluster's names and external ones."""
    path = folder / "reloaded"
    external = [(name, "A") for name in external_names()]
    load.write_questions(path, shuffled([*objects.questions()[: len(external)], *external]))
    for runner in turns(runners, replace(effort, rounds=min(effort.rounds, RELOAD_ROUNDS))):
        load.flat_out(runner.port, path, 1, "NOERROR")
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(load.at_rate, runner.port, path, RELOADED_PER_SECOND, RELOADED_SECONDS, None)
            slowest = max(_reload(runner, number) for number in range(RELOADS))
            if asking.done():
                raise ServerFailed(f"{runner.name}: {RELOADS} reloads took longer than {RELOADED_SECONDS} s")
            found = asking.result()
        figures.add("reload_lost", runner.name, found.lost)
        figures.add("reload_wrong", runner.name, found.completed - found.codes.get("NOERROR", 0))
        figures.add("reload_p999_us", runner.name, found.percentile_seconds(99.9) * 1e6)
        figures.add("reload_ms", runner.name, slowest * 1000)


def _reload(runner: MeasuredServer, number: int) -> float:
    """Change the Corefile, signal the server, and return the seconds until it logs the reload. Raises ServerFailed."""
    started = time.monotonic()
    old, new = ("ttl 29", "ttl 30") if number % 2 else ("ttl 30", "ttl 29")
    changed = runner.corefile.with_suffix(".new")
    changed.write_text(runner.corefile.read_text().replace(old, new))
    changed.replace(runner.corefile)
    before = runner.server.out.count(_RELOADED)
    runner.server.send_signal(signal.SIGUSR1)
    runner.server.wait_until(lambda: runner.server.out.count(_RELOADED) > before, _RELOADED, RELOAD_LIMIT_SECONDS, 0.01)
    seconds = time.monotonic() - started
    time.sleep(max(0.05, RELOAD_EVERY_SECONDS - seconds))
    return seconds


def burst(port: int, names: Sequence[str]) -> Burst:
    """Ask the A records of all these names at once, and wait for all answers, up to a limit."""
    replies: dict[bytes, bytes] = {}
    last = started = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.connect((LOOPBACK, port))
        questions = [dns_client.question(name)[2:] for name in names]
        started = time.monotonic()
        for number, question in enumerate(questions):
            sock.send(number.to_bytes(2, "big") + question)
            if number % _CHUNK == _CHUNK - 1:
                time.sleep(0.001)
        while len(replies) < len(names):
            left = started + BURST_LIMIT_SECONDS - time.monotonic()
            if left <= 0 or not select.select([sock], [], [], left)[0]:
                break
            reply = sock.recv(65535)
            replies[reply[:2]] = reply
            last = time.monotonic()
    return Burst(list(replies.values()), last - started)


def _genuine(replies: list[bytes]) -> int:
    return sum(GENUINE in reply for reply in replies)
