"""One CoreDNS process with a server block for each case, each on a loopback address of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from peers import need

from testing.ports import free_ports
from testing.process import ServerProcess
from testing.waiting import PATIENCE_SECONDS

START_SECONDS = 60.0
LOOK_SECONDS = 1.0  # for a server that may not have started


def address(number: int) -> str:
    """Where the block of that place in the list is asked."""
    return f"127.0.9.{number + 1}"


class Blocks:
    """The process, and where each block is asked: by its place in the list."""

    def __init__(self, folder: Path, blocks: Sequence[str]) -> None:
        (self.port,) = free_ports(1)
        self._count = len(blocks)
        texts = [f".:{self.port} {{\nbind {address(number)}\n{text}\n}}" for number, text in enumerate(blocks)]
        corefile = folder / "Corefile"
        corefile.write_text("\n".join(texts))
        self.server = ServerProcess("coredns", [need("coredns"), "-conf", corefile], folder / "coredns.log")

    def ask(self, message: dns.message.Message, number: int, seconds: float = PATIENCE_SECONDS) -> dns.message.Message:
        """Its reply over UDP. Raises dns.exception.Timeout."""
        return dns.query.udp(message, address(number), seconds, self.port, ignore_unexpected=True)

    def answers(self) -> bool:
        """Whether the last block answers."""
        try:
            self.ask(dns.message.make_query("a.test", "A"), self._count - 1, LOOK_SECONDS)
        except (OSError, dns.exception.Timeout):
            return False
        return True


@contextmanager
def serving(folder: Path, blocks: Sequence[str]) -> Iterator[Blocks]:
    """CoreDNS with these blocks' directives."""
    found = Blocks(folder, blocks)
    with found.server:
        found.server.wait_until(found.answers, "answer", START_SECONDS)
        yield found
