"""Facts in docs/ that a test can check: links, Corefiles, options, directives, metrics, constants."""

import re
from pathlib import Path

import pytest

from clusterdns.answers import table
from clusterdns.chain import Plugin
from clusterdns.corefile.load import parse
from clusterdns.gotemplate import evaluation
from clusterdns.gotemplate import values as template_values
from clusterdns.host.admission import ConnectionLimits
from clusterdns.host.udp import datagrams
from clusterdns.plugins import order, tls
from clusterdns.plugins.cache import refresh as cache_refresh
from clusterdns.plugins.cache import store as cache_store
from clusterdns.plugins.file import zone as file_zone
from clusterdns.plugins.hosts import hosts_file
from clusterdns.plugins.order import ORDER, REFUSED
from clusterdns.server import dispatch, memory, reloading, run
from clusterdns.server.assembly import assemble
from clusterdns.server.listeners import budget, connection_table, later, udp
from clusterdns.telemetry.metrics import Registry
from clusterdns.upstream import exchange, flight, pool, stream
from clusterdns.upstream import settings as upstream_settings
from clusterdns.upstream.https import http1
from clusterdns.wire import header
from docs import generate

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for where in ("*.md", "docs/**/*.md", "zones/*.md", "bench/*.md") for page in sorted(ROOT.glob(where))]
COREFILE_PAGE = (ROOT / "docs" / "corefile.md").read_text(encoding="utf-8")
BEHAVIOR_PAGE = (ROOT / "docs" / "behavior.md").read_text(encoding="utf-8")

EXAMPLES = [
    (f"{page.name}-{number}", text)
    for page in PAGES
    if page.name != "writing-a-directive.md"  # its directive is not built in: see test_writing_a_directive.py
    for number, text in enumerate(
        re.findall(r"^```corefile\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_links_have_targets(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{short(page)} links to {target}"
        assert not anchor or anchor in anchors(file), f"{short(page)} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=short)
def test_source_files_in_the_text_exist(page: Path) -> None:
    """The text names files of the package and of the tests as `folder/module.py`."""
    for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() or (ROOT / "clusterdns" / path).exists(), f"{short(page)} names {path}"


@pytest.mark.parametrize("text", [text for _, text in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_corefile_examples_assemble(text: str) -> None:
    assert assemble(parse(text, "Corefile", {}), Registry(), dns_port=53).listen_points


def test_the_docs_have_examples() -> None:
    assert len(EXAMPLES) >= 5


def test_the_page_of_directives_is_generated_from_the_source() -> None:
    assert generate.page(generate.by_hand()) == COREFILE_PAGE, "run 'make docs'"


def test_man_pages_and_completion_scripts_are_generated_from_the_source() -> None:
    found, expected = generate.existing_files(), generate.shared_files()
    assert sorted(found) == sorted(expected), "run 'make docs'"
    assert [name for name, text in expected.items() if found[name] != text] == [], "run 'make docs'"


def test_every_directive_of_coredns_is_in_the_table_once() -> None:
    rows = re.findall(r"^\| `([a-z0-9_]+)` \|(.*)\|$", COREFILE_PAGE.partition("## Every directive")[2], re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(set(ORDER) | REFUSED | {"import"})
    assert all(columns.count("x") == 1 for _, columns in rows)


@pytest.mark.parametrize("plugin", [order.plugin(name) for name in ORDER], ids=lambda plugin: plugin.name)
def test_every_directive_is_documented_with_an_example(plugin: Plugin) -> None:
    doc = plugin.doc
    assert doc.usage
    assert all(form.split()[0] == plugin.name for form in doc.usage)
    assert doc.about.endswith(".")
    if plugin is not tls.PLUGIN:  # whose example reads a certificate
        assert re.search(rf"^{plugin.name}\b", doc.example, re.MULTILINE), "an example that uses it"
    assert not doc.better or doc.better.endswith(".")


@pytest.mark.parametrize("plugin", [order.plugin(name) for name in ORDER], ids=lambda plugin: plugin.name)
def test_options_are_read_from_rows_only(plugin: Plugin) -> None:
    """Options that a plugin parses by hand would be missing from the page."""
    folder = ROOT / "clusterdns" / "plugins"
    paths = (
        [folder / f"{plugin.name}.py"]
        if (folder / f"{plugin.name}.py").exists()
        else [*folder.glob(f"{plugin.name}/*.py")]
    )
    assert paths
    assert not any(".options(" in path.read_text(encoding="utf-8") for path in paths)


def test_every_metric_is_listed() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `((?:coredns|clusterdns)_[a-z_]+)` \|", page, re.MULTILINE))
    made = {
        name
        for path in (ROOT / "clusterdns").rglob("*.py")
        for name in re.findall(r'"((?:coredns|clusterdns)_[a-z_]+)"', path.read_text(encoding="utf-8"))
    }
    assert listed == made


LIMITS = connection_table.TcpLimits()
NUMBERS = ConnectionLimits()


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("TCP connections in all", f"{NUMBERS.in_all:,}"),
        ("TCP connections of one address", f"{NUMBERS.per_address}; one IPv6 /64: {NUMBERS.per_network:,}"),
        ("idle connection", f"{LIMITS.idle_seconds:g} s"),
        ("connection without a first query", f"{LIMITS.first_seconds:g} s"),
        ("TLS handshake", f"{LIMITS.handshake_seconds:g} s; {NUMBERS.over_tls:,} TLS connections"),
        ("incomplete query", f"{LIMITS.partial_seconds:g} s"),
        (
            "client that does not read its replies",
            f"{LIMITS.stalled_seconds:g} s without progress; {budget.MAX_STALLED}",
        ),
        ("queries of one connection that wait", f"{later.MAX_WAITING}"),
        ("queries of one UDP socket that wait", f"{udp.MAX_WAITING:,}"),
        ("queries of all connections that wait", f"{budget.MAX_ALL_WAITING:,}"),
        ("questions in flight", f"{flight.MAX_FLIGHTS:,}"),
        (
            "connections to one upstream",
            f"{stream.MAX_CONNECTIONS} over TCP, TLS or HTTP/2, {http1.MAX_CONNECTIONS} over HTTP/1.1",
        ),
        ("exchange with an upstream", f"{upstream_settings.PoolSettings().read_seconds:g} s;"),
        ("exchange with an upstream", f"replies {exchange.FLOOD_SECONDS:g} s"),
        ("attempts for a question", f"{pool.TOTAL_SECONDS:g} s"),
        ("cached replies", f"{cache_store.MAX_BYTES >> 20} MiB"),
        ("refreshes of cached replies", f"{cache_refresh.MAX_REFRESHES:,}"),
        ("output of a template", f"{template_values.MAX_TEXT_BYTES >> 10} KiB; {evaluation.MAX_STEPS:,} steps"),
        ("hosts file, zone file", f"{file_zone.MAX_FILE_BYTES >> 20} MiB"),
        ("hosts file, zone file", f"{hosts_file.MAX_FILE_BYTES >> 20} MiB"),
        ("compiled answers", f"{table.MAX_ANSWER_BYTES >> 20} MiB"),
        ("compiled answers", f"above {dispatch.MAX_RECORDS_AT_ONCE} records"),
        ("compiled negative answers", f"{table.MAX_NEGATIVE_BYTES >> 20} MiB"),
        ("CNAMEs in a row", f"{dispatch.MAX_LOOKUP_DEPTH}"),
        ("reply over UDP, EDNS", f"{header.OWN_UDP_BYTES:,}"),
        ("reply over UDP, no EDNS", f"{header.CLASSIC_UDP_BYTES}"),
        ("query as received", f"{datagrams.MAX_DATAGRAM_BYTES:,}"),
    ],
)
def test_limits_in_the_docs_are_those_of_the_code(row: str, value: str) -> None:
    (line,) = (line for line in BEHAVIOR_PAGE.splitlines() if line.startswith(f"| {row}"))
    assert value in line


def test_times_of_shutdown_and_reload_in_the_docs_are_those_of_the_code() -> None:
    sections = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", BEHAVIOR_PAGE, re.MULTILINE))
    assert f"({run.END_GRACE_SECONDS:g} s for queries that wait" in sections["Shutdown"]
    assert f"For up to {reloading.GRACE_SECONDS:g} s" in sections["Reload"]


def test_shares_of_memory_in_the_docs_are_those_of_the_code() -> None:
    assert f"left below {memory.FILL:.0%} of the limit".replace("%", " %") in BEHAVIOR_PAGE
    assert memory.MIN_SHARE == 1 / 8
    assert "less than an eighth" in BEHAVIOR_PAGE
