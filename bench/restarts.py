"""The rows of `bench.faults` that restart the servers, or make them read everything again.

A server that is started while the API server does not answer knows only what it has kept; one that is stopped should
lose no query that it has received.
"""

import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bench.asking import Asker
from bench.fault_bed import Contender, FaultBed, full_name
from bench.fault_rows import FaultContext, frozen, refusing, with_api_fault
from bench.results import Figures
from bench.servers import knows
from testing import api_faults, dns_client

RIGHT_AFTER_SECONDS = 1.0
RIGHT_SHARE = 0.999
GIVE_UP_SECONDS = 10.0
STOPPED_PER_SECOND = 1_000
RELISTS = 20
_SNAPSHOT_SECONDS = 12.0  # in which a snapshot is written
_RATE = 100


class Restart(NamedTuple):
    """A measurement, and what must be reached."""

    title: str
    must: str
    measure: Callable[[FaultBed, str, Figures], None]


def _without_api(fault: FaultContext) -> Callable[[FaultBed, str, Figures], None]:
    def measure(bed: FaultBed, key: str, figures: Figures) -> None:
        """Restart the servers under a fault, count the right answers 1 s after the start, and wait for the rest."""
        bed.token_file.write_text("old")
        (bed.folder / "snapshot").mkdir(exist_ok=True)
        with bed.running(f"        snapshot {bed.folder}/snapshot\n", _RATE, over_http=True):
            time.sleep(_SNAPSHOT_SECONDS)
            with fault(bed):
                for one in bed.contenders:
                    one.measured.server.stop()
                    one.measured.server.start()
                    time.sleep(RIGHT_AFTER_SECONDS)
                    share = _known(bed, one) / len(bed.cluster.names)
                    figures.add(key, one.name, share)
                    while share < RIGHT_SHARE and time.monotonic() < one.measured.server.started + GIVE_UP_SECONDS:
                        time.sleep(0.1)
                        share = _known(bed, one) / len(bed.cluster.names)
                    seconds = time.monotonic() - one.measured.server.started if share >= RIGHT_SHARE else math.inf
                    figures.add(f"{key}_seconds", one.name, seconds)

    return measure


def _known(bed: FaultBed, one: Contender) -> int:
    """Ask every name once, and count those that are answered."""
    client = dns_client.DnsClient(one.measured.port, timeout_seconds=0.1)
    count = failures = 0
    for name in bed.cluster.names:
        reply = client.ask(dns_client.question(full_name(name)))
        is_known = reply is not None and dns_client.outcome(reply) == (dns_client.NOERROR, 1)
        count += is_known
        failures += not is_known
        if failures > 20 and not count:
            break  # it knows nothing
    client.close()
    return count


def _killed(bed: FaultBed, key: str, figures: Figures) -> None:
    """Send SIGKILL, start again, and wait until the first and the last names are right."""
    (bed.folder / "snapshot").mkdir(exist_ok=True)
    with bed.running(f"        snapshot {bed.folder}/snapshot\n", _RATE, over_http=False):
        time.sleep(_SNAPSHOT_SECONDS)
        for one in bed.contenders:
            server, port = one.measured.server, one.measured.port
            server.kill()
            server.start()
            names = [full_name(name) for name in (*bed.cluster.names[-3:], *bed.cluster.names[:3])]
            figures.add(key, one.name, server.wait_until(lambda: all(knows(port, one) for one in names), "names"))  # noqa: B023


def _stopped(bed: FaultBed, key: str, figures: Figures) -> None:
    """Send SIGTERM under load, and count the queries without a reply that were sent before the process ended."""
    with bed.running("", _RATE, over_http=False):
        for one in bed.contenders:
            asker = Asker(one.measured.port, bed.cluster.truth, bed.cluster.next_name, STOPPED_PER_SECOND)
            time.sleep(2.0)
            one.measured.server.send_signal(signal.SIGTERM)
            one.measured.server.wait_ended()
            ended = time.monotonic()
            asker.stop()
            figures.add(key, one.name, sum(sent < ended for sent in asker.lost_at))


def _relists(bed: FaultBed, key: str, figures: Figures) -> None:
    """Force lists to be read again, and compare the largest resident set with that before."""
    bed.token_file.write_text("old")
    expiring = with_api_fault(lambda: api_faults.EndingWatches(api_faults.EXPIRED))
    with bed.running("", _RATE, over_http=True):
        time.sleep(2.0)
        steady = {one.name: one.measured.server.rss_bytes() for one in bed.contenders}
        for one in bed.contenders:
            Path(f"/proc/{one.measured.server.pid}/clear_refs").write_text("5")  # the peak begins anew
        for _ in range(RELISTS):
            with expiring(bed):
                time.sleep(0.2)
            time.sleep(1.0)
        for one in bed.contenders:
            status = Path(f"/proc/{one.measured.server.pid}/status").read_text()
            peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
            figures.add(key, one.name, peak / steady[one.name])


RESTARTS = {
    "restart-stalled": Restart("right after 1 s, restarted while the API stalls", ">= 0.999", _without_api(frozen)),
    "restart-401": Restart("right after 1 s, restarted while it says 401", ">= 0.999", _without_api(refusing(401))),
    "sigkill": Restart("SIGKILL, then right again: seconds", "<= 0.7", _killed),
    "sigterm": Restart(f"SIGTERM under {STOPPED_PER_SECOND}/s: queries lost before the exit", "0", _stopped),
    "rss": Restart(f"resident set over {RELISTS} relists: peak over steady", "<= 1.05", _relists),
}
