"""CoreDNS and our program side by side: the same Corefile, each on a loopback address of its own, the same questions.

A Corefile says HOST for the address and UPSTREAM for a scripted upstream, which both share. What comes back (lines,
metrics) has the addresses named again, so that the two can be compared as they are.
"""

import contextlib
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from peers import need
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from testing.peers import clusterdns
from testing.ports import new_address
from testing.process import ServerProcess
from testing.upstream.scripted import ScriptedUpstream

PORT, METRICS_PORT = 1053, 9153
WAIT_SECONDS = 20.0
BANNERS = ("CoreDNS-", "clusterdns-")


class Side(ServerProcess):
    """One of the two programs."""

    def __init__(self, name: str, program: str, corefile: str, folder: Path, upstream: ScriptedUpstream) -> None:
        self.host = new_address()
        self.upstream = upstream
        self.folder = folder
        self.corefile = folder / "Corefile"
        folder.mkdir()
        self.write(corefile)
        super().__init__(name, [program, "-conf", "Corefile"], folder / "log", cwd=folder)

    def write(self, corefile: str) -> None:
        """Another Corefile, as a whole."""
        fresh = self.folder / "Corefile.new"
        fresh.write_text(corefile.replace("HOST", self.host).replace("UPSTREAM", self.upstream.address))
        fresh.rename(self.corefile)

    @property
    def lines(self) -> list[str]:
        """What it printed so far, addresses named as in the Corefile."""
        return [self.named(line) for line in self.out.splitlines()]

    def named(self, text: str) -> str:
        """The text with this side's addresses as the Corefile has them."""
        return text.replace(self.host, "HOST").replace(self.upstream.address, "UPSTREAM")

    def wait_for_line(self, pattern: str, count: int = 1) -> None:
        """Wait until that many lines match from their beginning."""

        def has_lines() -> bool:
            return sum(bool(re.match(pattern, line)) for line in self.lines) >= count

        self.wait_until(has_lines, f"line {pattern!r}", WAIT_SECONDS)

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


@contextlib.contextmanager
def both(corefile: str, folder: Path) -> Iterator[tuple[Side, Side]]:
    """CoreDNS and ours, both serving."""
    folder.mkdir()
    with ScriptedUpstream() as upstream:
        sides = [
            Side(name, program, corefile, folder / name, upstream)
            for name, program in (("coredns", need("coredns")), ("ours", str(clusterdns())))
        ]
        try:
            for side, banner in zip(sides, BANNERS, strict=True):
                side.wait_for_line(re.escape(banner))
            yield sides[0], sides[1]
        finally:
            for side in sides:
                side.kill()
