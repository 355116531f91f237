"""`dashboard`: its settings, and what a configuration that has it does before the first request."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from peers import need

from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import dashboard
from clusterdns.plugins.dashboard.directive import DashboardSettings

ReadDirectives = Callable[[str], Sequence[Directive]]
PLACE = "Corefile:2: dashboard"


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("dashboard", DashboardSettings("127.0.0.1:8053", PLACE)),
        ("dashboard 127.0.0.9:80", DashboardSettings("127.0.0.9:80", PLACE)),
        ("dashboard [::1]:80", DashboardSettings("[::1]:80", PLACE)),
        ("dashboard localhost:80", DashboardSettings("localhost:80", PLACE)),
        ("dashboard {\n private\n}", DashboardSettings("127.0.0.1:8053", PLACE, "", ())),
        (
            "dashboard {\n private a.example 10.0.0.0/8\n private B.example\n}",
            DashboardSettings("127.0.0.1:8053", PLACE, "", ("a.example.", "10.in-addr.arpa.", "b.example.")),
        ),
        ("dashboard {\n private a.example\n private\n}", DashboardSettings("127.0.0.1:8053", PLACE, "", ())),
        ("dashboard {\n private\n private a.example\n}", DashboardSettings("127.0.0.1:8053", PLACE, "", ())),
    ],
)
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str, settings: DashboardSettings) -> None:
    assert dashboard.PLUGIN.parse(read_directives(text), context) == settings


@pytest.mark.parametrize("address", [":8053", "0.0.0.0:8053", "[::]:8053", "10.1.2.3:8053", "dns.example:8053"])
def test_an_address_that_others_reach_needs_a_token(
    read_directives: ReadDirectives, context: BlockContext, tmp_path: Path, address: str
) -> None:
    with pytest.raises(CorefileError) as error:
        dashboard.PLUGIN.parse(read_directives(f"dashboard {address}"), context)
    assert str(error.value).startswith(f"Corefile:2: '{address}' can be reached from other hosts, and")
    assert "add 'token FILE'" in error.value.hint
    token = tmp_path / "token"
    token.write_text(" secret \n")
    settings = dashboard.PLUGIN.parse(read_directives(f"dashboard {address} {{\n token {token}\n}}"), context)
    assert settings == DashboardSettings(address, PLACE, str(token))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("dashboard 8053", "Corefile:2: '8053' is not host:port"),
        ("dashboard :1 :2", "Corefile:2: Wrong argument count"),
        ("dashboard {\n token\n}", "Corefile:3: Wrong argument count"),
        ("dashboard {\n token /nonexistent\n}", "Corefile:3: token file '/nonexistent' cannot be read: No such file"),
        ("dashboard {\n token /\n}", "Corefile:3: token file '/' cannot be read: Is a directory"),
        ("dashboard {\n token /dev/null\n}", "Corefile:3: token file '/dev/null' is empty; write the token into"),
        ("dashboard {\n token a\n token b\n}", "Corefile:4: 'token' is there twice"),
        ("dashboard {\n privat\n}", "Corefile:3: unknown property 'privat'; did you mean 'private'?"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        dashboard.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)


def test_nothing_of_the_page_is_imported_before_its_first_request() -> None:
    script = """
import sys
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry
assemble(parse(". {\\n dashboard\\n whoami\\n}\\n", "Corefile", {}), Registry(), dns_port=53)
print([one for one in sys.modules if "dashboard." in one or ".live." in one or one == "html"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['clusterdns.plugins.dashboard.directive']"


def test_coredns_does_not_know_the_directive(tmp_path: Path) -> None:
    corefile = tmp_path / "Corefile"
    corefile.write_text(". {\n dashboard\n}\n")
    done = subprocess.run([need("coredns"), "-conf", corefile], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert "Unknown directive 'dashboard'" in done.stdout + done.stderr
