"""Words and lines that CoreDNS passes over: the server starts, and tells what it leaves out."""

import pytest

from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry

KUBERNETES = "kubernetes cluster.local {\n endpoint http://127.0.0.9:1\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("header x {\n response set ra\n}", "Corefile:2: 'header' does not take 'x', which is left out"),
        ("bufsize 1232 {\n x y\n}", "Corefile:3: 'bufsize' takes no block: 'x' is left out"),
        ("reload 30s {\n jitter 1s\n}", "Corefile:3: 'reload' takes no block: 'jitter' is left out"),
        ("cancel {\n x\n}", "Corefile:3: 'cancel' takes no block: 'x' is left out"),
        ("hosts {\n ttl 60 s\n}", "Corefile:3: 'ttl' does not take 's', which is left out"),
        ("hosts {\n no_reverse on\n}", "Corefile:3: 'no_reverse' does not take 'on', which is left out"),
        ("file /nowhere/db {\n reload 1m 2 3\n}", "Corefile:3: 'reload' does not take '2 3', which is left out"),
        (f"{KUBERNETES} ttl 30 s\n}}", "Corefile:4: 'ttl' does not take 's', which is left out"),
        (f"{KUBERNETES} ignore empty_service x\n}}", "Corefile:4: 'ignore' does not take 'x', which is left out"),
        (f"{KUBERNETES} startup_timeout 1s x\n}}", "Corefile:4: 'startup_timeout' does not take 'x', which is left"),
        (f"{KUBERNETES}}}\nk8s_external a.org {{\n ttl 1 s\n}}", "Corefile:6: 'ttl' does not take 's', which is left"),
        (
            f"{KUBERNETES}}}\nk8s_external a.org {{\n apex a b\n}}",
            "Corefile:6: 'apex' does not take 'b'",
        ),
    ],
)
def test_what_is_left_out_is_told(text: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    assemble(parse(f". {{\n{text}\n}}\n", "Corefile", {}), Registry(), dns_port=53)
    assert told in caplog.text
