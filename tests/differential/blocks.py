"""The Corefile that both servers run: one server block per configuration of the kubernetes plugin.

Each block listens on a port of its own, which an environment variable sets.
"""

from dataclasses import dataclass
from pathlib import Path

from differential import exchange
from differential.manifests import LAST_NAME
from differential.questions import Question

from testing.ports import LOOPBACK, free_ports
from testing.process import ServerProcess


@dataclass(frozen=True)
class Block:
    """A server block: its name in reports, its zones, its options, and the share of the rarer questions sent to it."""

    name: str
    zones: tuple[str, ...]
    options: tuple[str, ...]
    share: float

    @property
    def forward_zones(self) -> tuple[str, ...]:
        """The zones that are not reverse zones."""
        return tuple(zone for zone in self.zones if not zone.endswith(".arpa"))


BLOCKS = (
    Block(
        "usual",
        ("cluster.local", "in-addr.arpa", "ip6.arpa"),
        ("pods insecure", "fallthrough in-addr.arpa ip6.arpa", "ttl 30"),
        0.35,
    ),
    Block("plain", ("cluster.local", "77.10.in-addr.arpa", "ip6.arpa"), (), 0.1),
    Block(
        "verified",
        ("cluster.local", "k8s.example.net", "10.in-addr.arpa", "ip6.arpa"),
        ("pods verified", "endpoint_pod_names", "ttl 0"),
        0.1,
    ),
    Block(
        "narrow",
        ("cluster.local", "in-addr.arpa", "ip6.arpa"),
        ("namespaces diff-prod diff-bare", "ignore empty_service", "fallthrough", "ttl 3600"),
        0.1,
    ),
    Block("without endpoints", ("cluster.local", "in-addr.arpa"), ("noendpoints", "pods insecure"), 0.1),
)


def corefile(kubeconfig: Path) -> str:
    """Return the text of the Corefile."""
    parts = []
    for number, block in enumerate(BLOCKS):
        options = "\n        ".join(block.options)
        parts.append(f""".:{{$DIFFERENTIAL_PORT_{number}}} {{
    bind {LOOPBACK}
    errors
    kubernetes {" ".join(block.zones)} {{
        kubeconfig {kubeconfig}
        {options}
    }}
    loadbalance
}}
""")
    return "".join(parts)


class BlocksServer:
    """A process of CoreDNS or clusterdns that serves all blocks."""

    def __init__(self, name: str, program: Path | str, kubeconfig: Path, folder: Path) -> None:
        path = folder / "Corefile"
        path.write_text(corefile(kubeconfig))
        self.ports = dict(zip(BLOCKS, free_ports(len(BLOCKS)), strict=True))
        env = {f"DIFFERENTIAL_PORT_{number}": str(port) for number, port in enumerate(self.ports.values())}
        self.server = ServerProcess(name, [program, "-conf", path], folder / f"{name}.log", env)

    def wait(self) -> None:
        """Wait until every block answers. Raises testing.process.ServerFailed."""
        for block, port in self.ports.items():
            probe = Question("dns-version.cluster.local.", "TXT")
            self.server.wait_until(lambda port=port, probe=probe: _answers(port, probe), f"{block.name} answers")  # type: ignore[misc]

    def ask(self, block: Block, questions: list[Question]) -> dict[Question, bytes | None]:
        """Send questions to one block and return its replies."""
        return exchange.ask_all(self.ports[block], questions)


def _answers(port: int, probe: Question) -> bool:
    try:
        reply = exchange.ask_all(port, [probe])[probe]
    except ConnectionError:
        return False
    return reply is not None and not reply[1] & 0xF


def knows_all_objects(server: BlocksServer, block: Block) -> bool:
    """Return whether the block has the objects that were created last, and so all objects."""
    probe = Question(f"{LAST_NAME}.{block.zones[0]}.", "A")
    reply = server.ask(block, [probe])[probe]
    return reply is not None and not reply[1] & 0xF
