"""CoreDNS and our program side by side: the same Corefile, each on a loopback address of its own, the same questions.

A Corefile says HOST for the address and UPSTREAM for a scripted upstream, which both share. What comes back (lines,
metrics) has the addresses named again, so that the two can be compared as they are.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import pytest
from peers import need
from process.running import new_address
from program import console_script
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from testing.upstream.scripted import Upstream

PORT, METRICS_PORT = 1053, 9153
WAIT_SECONDS = 20.0
BANNERS = ("CoreDNS-", "clusterdns-")


class Side:
    """One of the two programs."""

    def __init__(self, name: str, command: list[str], corefile: str, folder: Path, upstream: Upstream) -> None:
        self.name = name
        self.host = new_address()
        self.upstream = upstream
        self.folder = folder
        self.corefile = folder / "Corefile"
        folder.mkdir()
        self.write(corefile)
        self._out = folder / "log"
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, "-conf", "Corefile"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder
            )

    def write(self, corefile: str) -> None:
        """Another Corefile, as a whole."""
        fresh = self.folder / "Corefile.new"
        fresh.write_text(corefile.replace("HOST", self.host).replace("UPSTREAM", self.upstream.address))
        fresh.rename(self.corefile)

    @property
    def lines(self) -> list[str]:
        """What it printed so far, addresses named as in the Corefile."""
        text = self._out.read_text()
        return [self.named(line) for line in text.splitlines()]

    def named(self, text: str) -> str:
        """The text with this side's addresses as the Corefile has them."""
        return text.replace(self.host, "HOST").replace(self.upstream.address, "UPSTREAM")

    def wait_for_line(self, pattern: str, count: int = 1) -> None:
        """Wait until that many lines match from their beginning."""
        ends_at = time.monotonic() + WAIT_SECONDS
        while sum(bool(re.match(pattern, line)) for line in self.lines) < count:
            if time.monotonic() > ends_at:
                pytest.fail(f"{self.name} never printed {pattern!r}:\n" + "\n".join(self.lines))
            time.sleep(0.02)

    def ask(self, words: str) -> dns.message.Message | None:
        """Ask `NAME TYPE [tcp] [do] [bare]`; None where nothing comes back."""
        name, qtype, *how = words.split()
        query = dns.message.make_query(name, qtype, use_edns=None if "bare" in how else 0, want_dnssec="do" in how)
        query.id = 4711
        ask = dns.query.tcp if "tcp" in how else dns.query.udp
        with contextlib.suppress(dns.exception.Timeout):
            return ask(query, self.host, port=PORT, timeout=1.0)
        return None

    def metrics(self) -> list[Metric]:
        """What /metrics says now."""
        with urllib.request.urlopen(f"http://{self.host}:{METRICS_PORT}/metrics", timeout=WAIT_SECONDS) as page:
            return list(text_string_to_metric_families(page.read().decode()))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(WAIT_SECONDS)


@contextlib.contextmanager
def both(corefile: str, folder: Path) -> Iterator[tuple[Side, Side]]:
    """CoreDNS and ours, both serving."""
    folder.mkdir()
    theirs, ours = [need("coredns")], [sys.executable, console_script()]
    with Upstream() as upstream:
        sides = [
            Side(name, command, corefile, folder / name, upstream)
            for name, command in (("coredns", theirs), ("ours", ours))
        ]
        try:
            for side, banner in zip(sides, BANNERS, strict=True):
                side.wait_for_line(re.escape(banner))
            yield sides[0], sides[1]
        finally:
            for side in sides:
                if side.process.poll() is None:
                    os.kill(side.process.pid, signal.SIGKILL)
                side.process.wait()
