"""CoreDNS and clusterdns with the same Corefile, each on a loopback address of its own.

A Corefile has HOST for the address, and UPSTREAM for a scripted upstream that both share. FREE_PORT is a port of every
address, which only one of them can have. Log lines and metrics have the placeholders in place of addresses and port, so
that those of the two can be compared.
"""

import contextlib
import re
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from peers import need
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from testing.peers import clusterdns
from testing.ports import free_ports, new_address
from testing.process import ServerProcess
from testing.upstream.scripted import ScriptedUpstream

PORT, METRICS_PORT = 1053, 9153
WAIT_SECONDS = 60.0
BANNERS = ("CoreDNS-", "clusterdns-")


class Side(ServerProcess):
    """A process of CoreDNS or clusterdns."""

    def __init__(
        self, name: str, program: str, corefile: str, folder: Path, upstream: ScriptedUpstream,
        flags: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.host = new_address()
        (self.free_port,) = free_ports(1)
        self.upstream = upstream
        self.folder = folder
        self.corefile = folder / "Corefile"
        folder.mkdir()
        self.write(corefile)
        super().__init__(name, [program, *flags, "-conf", "Corefile"], folder / "log", cwd=folder)

    def write(self, corefile: str) -> None:
        """Replace the Corefile in one step."""
        fresh = self.folder / "Corefile.new"
        text = corefile.replace("HOST", self.host).replace("UPSTREAM", self.upstream.address)
        fresh.write_text(text.replace("FREE_PORT", str(self.free_port)))
        fresh.rename(self.corefile)

    @property
    def lines(self) -> list[str]:
        """The lines printed so far, with placeholders for addresses."""
        return [self.with_placeholders(line) for line in self.out.splitlines()]

    def with_placeholders(self, text: str) -> str:
        """Replace this process's addresses and port by HOST, UPSTREAM and FREE_PORT."""
        text = text.replace(self.host, "HOST").replace(self.upstream.address, "UPSTREAM")
        return re.sub(rf":{self.free_port}\b", ":FREE_PORT", text)

    def wait_for_line(self, pattern: str, count: int = 1) -> None:
        """Wait until `count` lines match the pattern from their beginning."""

        def has_lines() -> bool:
            return sum(bool(re.match(pattern, line)) for line in self.lines) >= count

        self.wait_until(has_lines, f"line {pattern!r}", WAIT_SECONDS)

    def ask(self, words: str) -> dns.message.Message | None:
        """Send the question `NAME TYPE [tcp] [do] [bare]`; return the reply, None after a time-out."""
        name, qtype, *how = words.split()
        query = dns.message.make_query(name, qtype, use_edns=None if "bare" in how else 0, want_dnssec="do" in how)
        query.id = 4711
        ask = dns.query.tcp if "tcp" in how else dns.query.udp
        with contextlib.suppress(dns.exception.Timeout):
            return ask(query, self.host, port=PORT, timeout=3.0)
        return None

    def metrics(self) -> list[Metric]:
        """Scrape /metrics."""
        with urllib.request.urlopen(f"http://{self.host}:{METRICS_PORT}/metrics", timeout=WAIT_SECONDS) as page:
            return list(text_string_to_metric_families(page.read().decode()))


@contextlib.contextmanager
def both(corefile: str, folder: Path, flags: Sequence[str] = ()) -> Iterator[tuple[Side, Side]]:
    """Run CoreDNS and clusterdns, both with these flags, and enter the context once both serve."""
    folder.mkdir()
    with ScriptedUpstream() as upstream:
        sides = [
            Side(name, program, corefile, folder / name, upstream, flags)
            for name, program in (("coredns", need("coredns")), ("ours", str(clusterdns())))
        ]
        try:
            for side, banner in zip(sides, BANNERS, strict=True):
                side.wait_for_line(rf".*\b{banner}")
            yield sides[0], sides[1]
        finally:
            for side in sides:
                side.kill()
