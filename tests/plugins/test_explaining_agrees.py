"""An explanation has the answer that a client gets, whatever the name."""

import random
from pathlib import Path

import dns.rcode
import pytest
from cli.explain_faults import CLUSTER, LINES, ZONE_FILE
from plugins.serving import running

from clusterdns.server.explaining.engine import Explainer, ExplainRequest
from clusterdns.server.explaining.explanation import DOES_NOT_RESOLVE, RESOLVES, UNKNOWN

WORDS = (
    "web", "db", "eager", "set", "typo", "lost", "bare", "cut", "crash", "pull", "nowhere", "alias", "ring", "number",
    "wide", "broken", "prod", "dev", "kube-system", "svc", "pod", "cluster", "local", "_http", "_tcp", "_udp", "_sql",
    "http", "tcp", "10-244-1-4", "set-0", "set-1", "db-0", "ns", "dns", "dns-version", "in-addr", "arpa", "10", "96",
    "example", "old", "short", "banned", "picky", "yes", "printer", "corp", "ext", "wbe", "x", "localhost",
)  # fmt: skip
TAILS = ("", "", "prod.svc.cluster.local", "svc.cluster.local", "cluster.local", "prod", "example", "in-addr.arpa")
TYPES = ("A", "A", "AAAA", "SRV", "PTR", "TXT", "SOA", "NS", "MX", "CNAME", "ANY", "HTTPS")


def names(count: int) -> list[tuple[str, str]]:
    draw = random.Random(7)
    found = []
    for _ in range(count):
        labels = draw.choices(WORDS, k=draw.randint(1, 5))
        tail = draw.choice(TAILS)
        found.append((".".join([*labels, *filter(None, [tail])]), draw.choice(TYPES)))
    return found


PLUGINS = """
    metadata
    cancel 2s
    nsid rack 7
    bufsize 1232
    local
    dns64 2001:db8:64::/96 {
        allow_ipv4
    }
    any
    chaos "dns" ops@example.org
    loadbalance
    autopath @kubernetes
    header {
        response set ra
    }
    minimal
    transfer corp.example {
        to *
    }
    file db.example corp.example
    cache 30
    loop
    whoami
"""


@pytest.mark.parametrize(
    ("options", "plugins"),
    [
        ("", ""), ("pods insecure", ""), ("pods verified\n endpoint_pod_names", ""), ("ignore empty_service", ""),
        ("zonal", ""), ("pods verified\n fallthrough", PLUGINS),
    ],
)  # fmt: skip
async def test_the_answer_of_an_explanation_is_the_server_s(tmp_path: Path, options: str, plugins: str) -> None:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "db.example").write_text(ZONE_FILE)
    inside = LINES.partition("{\n")[2].partition("\n}\n")[0]
    lines = (
        inside.replace("OPTIONS", options)
        .replace("    errors\n    log\n", "")
        .replace("cluster.yaml", f"{tmp_path}/cluster.yaml")
    )
    async with running(lines + plugins, tmp_path) as server:
        explainer = Explainer(server.instance.configuration)
        for name, qtype in names(250):
            reply = await server.ask(name, qtype)
            found = await explainer.explain(ExplainRequest(name, qtype))
            assert found.answer.rcode == dns.rcode.to_text(reply.rcode()), name
            answered = sum(len(rrset) for rrset in reply.answer)
            assert found.answer.answer_count == answered, (name, qtype)
            assert found.verdict.text, (name, qtype)
            assert found.verdict.outcome in (RESOLVES, DOES_NOT_RESOLVE, UNKNOWN)
            assert (found.verdict.outcome == RESOLVES) <= (answered > 0), (name, qtype)
            assert "\n" not in found.verdict.line
