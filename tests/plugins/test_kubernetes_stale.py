"""An API server that is gone for longer than `stale_after`, through whole configurations: answers, log, /ready."""

from pathlib import Path

import dns.edns
import dns.rcode
import pytest
from fakes.held_clock import HeldClock
from plugins.api_outage import Outage, begin_noticed, pass_until
from plugins.serving import Running, running

from clusterdns.admin.page import PageRequest
from testing.fake_apiserver import event, service

ROOT_ZONE = """
. 60 IN SOA ns. host. 1 2 3 4 5
. 60 IN NS ns.
fallback.prod.svc.cluster.local. 60 IN A 192.0.2.7
outside.example. 60 IN A 192.0.2.8
8.2.0.192.in-addr.arpa. 60 IN PTR outside.example.
"""  # behind `kubernetes`: all names that it passes on


async def said(server: Running, qname: str, qtype: str = "A") -> str:
    """The first record's data, or else the response code; then the extended errors."""
    reply = await server.ask(qname, qtype)
    records = [one.to_text() for rrset in reply.answer for one in rrset]
    codes = [str(int(one.code)) for one in reply.options if isinstance(one, dns.edns.EDEOption)]
    return " ".join([records[-1] if records else dns.rcode.to_text(reply.rcode()), *codes])


async def ready_says(server: Running) -> tuple[int, list[str]]:
    (route,) = (one for one in server.instance.configuration.shared.admin_routes if one.path == "/ready")
    page = await route.respond(PageRequest("/ready"))
    return page.status, page.body.decode().splitlines()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [one.getMessage() for one in caplog.records if one.name == "clusterdns.plugin.kubernetes"]
    return [text for text in texts if "current" in text]


WEB, NEW = "web.prod.svc.cluster.local", "new.prod.svc.cluster.local"


@pytest.mark.parametrize("monitor", ["until-ready", "continuously"])
async def test_an_outage_and_its_end(
    outage: Outage, held_clock: HeldClock, tmp_path: Path, caplog: pytest.LogCaptureFixture, monitor: str
) -> None:
    caplog.set_level("INFO")
    block = f"kubernetes cluster.local {{\nendpoint {outage.url}\n}}\nready :0 {{\nmonitor {monitor}\n}}"
    async with running(block, tmp_path) as server:
        for _ in range(3):
            assert [await said(server, WEB), await said(server, NEW)] == ["10.96.0.1", "NXDOMAIN"]
        assert await ready_says(server) == (200, ["OK"])
        await held_clock.pass_seconds(100.0)
        assert await said(server, NEW) == "NXDOMAIN", "a quiet API server is no outage"
        await begin_noticed(outage, server, held_clock)
        assert [await said(server, WEB), await said(server, NEW)] == ["10.96.0.1", "NXDOMAIN"]
        await held_clock.pass_seconds(10.0)
        for _ in range(3):
            assert [await said(server, WEB), await said(server, NEW)] == ["10.96.0.1 3", "SERVFAIL 22"]
        assert len(lines(caplog)) == 1
        assert [kind in lines(caplog)[0] for kind in ("EndpointSlice", "Namespace", "Service")] == [True] * 3
        status, page = await ready_says(server)
        assert (status, page[0]) == ((200, "OK") if monitor == "until-ready" else (503, "kubernetes"))
        assert page[1].startswith("kubernetes: not known to be current: EndpointSlice 1")
        assert "connection refused" in page[1]

        await outage.end(event("ADDED", service("new", "10.96.0.2", version=5000)))
        seen = set()

        async def is_over() -> bool:
            seen.add(await said(server, NEW))
            return await ready_says(server) == (200, ["OK"])

        await pass_until(held_clock, is_over)
        assert seen <= {"SERVFAIL 22", "10.96.0.2", "10.96.0.2 3"}, "a name that exists is never denied"
        assert [await said(server, NEW), await said(server, "foo.prod.svc.cluster.local")] == ["10.96.0.2", "NXDOMAIN"]
        assert len(lines(caplog)) == 2
        assert lines(caplog)[1].startswith("current again, after ")


async def outlast(outage: Outage, server: Running, clock: HeldClock) -> None:
    await begin_noticed(outage, server, clock)
    await clock.pass_seconds(15.0)


@pytest.mark.parametrize(
    ("block", "qname", "qtype", "before", "stale"),
    [
        ("", "foo.prod.svc.cluster.local", "A", "NXDOMAIN", "SERVFAIL 22"),
        ("stale_after off", "foo.prod.svc.cluster.local", "A", "NXDOMAIN", "NXDOMAIN"),
        ("stale_after 1h", "foo.prod.svc.cluster.local", "A", "NXDOMAIN", "NXDOMAIN"),
        ("noendpoints", "foo.prod.svc.cluster.local", "A", "NXDOMAIN", "SERVFAIL 22"),
        ("pods verified", "10-1-0-1.prod.pod.cluster.local", "A", "NXDOMAIN", "SERVFAIL 22"),
        ("pods insecure", "10-1-0-1.prod.pod.cluster.local", "A", "10.1.0.1", "10.1.0.1 3"),
        ("multicluster set.local", "foo.prod.svc.set.local", "A", "NXDOMAIN", "SERVFAIL 22"),
        ("ignore empty_service", WEB, "A", "NXDOMAIN", "SERVFAIL 22"),
        ("", "2.0.96.10.in-addr.arpa", "PTR", "NXDOMAIN", "SERVFAIL 22"),
        ("", "1.0.96.10.in-addr.arpa", "PTR", f"{WEB}.", f"{WEB}. 3"),
        # the next plugin's answer is given, and its denial held where the name may be the cluster's
        ("fallthrough", "fallback.prod.svc.cluster.local", "A", "192.0.2.7", "192.0.2.7"),
        ("fallthrough", "fallback.prod.svc.cluster.local", "AAAA", "NOERROR", "NOERROR"),
        ("fallthrough", "foo.prod.svc.cluster.local", "A", "NXDOMAIN", "SERVFAIL 22"),
        ("fallthrough", "foo.cluster.local", "A", "NXDOMAIN", "NXDOMAIN"),
        ("fallthrough in-addr.arpa", "8.2.0.192.in-addr.arpa", "PTR", "outside.example.", "outside.example."),
        ("fallthrough in-addr.arpa", "9.2.0.192.in-addr.arpa", "PTR", "NXDOMAIN", "SERVFAIL 22"),
        ("fallthrough in-addr.arpa", "lb._dns-sd._udp.10.in-addr.arpa", "PTR", "NXDOMAIN", "NXDOMAIN"),
        ("fallthrough in-addr.arpa", "foo.prod.svc.cluster.local", "A", "NXDOMAIN", "SERVFAIL 22"),
        ("", "outside.example", "A", "192.0.2.8", "192.0.2.8"),
        ("", "foo.example", "A", "NXDOMAIN", "NXDOMAIN"),
    ],
)
async def test_every_way_to_deny(
    outage: Outage, held_clock: HeldClock, tmp_path: Path, block: str, qname: str, qtype: str, before: str, stale: str
) -> None:
    zones = "cluster.local in-addr.arpa" + (" set.local" if "set.local" in block else "")
    text = f"kubernetes {zones} {{\nendpoint {outage.url}\n{block}\n}}\nfile root.zone ."
    (tmp_path / "root.zone").write_text(ROOT_ZONE)
    async with running(text, tmp_path) as server:
        assert [await said(server, qname, qtype) for _ in range(3)] == [before] * 3
        await outlast(outage, server, held_clock)
        assert [await said(server, qname, qtype) for _ in range(3)] == [stale] * 3


async def test_k8s_external(outage: Outage, held_clock: HeldClock, tmp_path: Path) -> None:
    text = f"kubernetes cluster.local {{\nendpoint {outage.url}\n}}\nk8s_external example.org in-addr.arpa"
    questions = [("foo.prod.example.org", "A"), ("prod.example.org", "A"), ("1.2.0.192.in-addr.arpa", "PTR")]
    async with running(text, tmp_path) as server:
        assert [await said(server, *one) for one in questions] == ["NXDOMAIN", "NOERROR", "NXDOMAIN"]
        await outlast(outage, server, held_clock)
        assert [await said(server, *one) for one in questions] == ["SERVFAIL 22", "NOERROR 3", "SERVFAIL 22"]


async def test_autopath_goes_no_further_than_a_name_that_may_exist(
    outage: Outage, held_clock: HeldClock, tmp_path: Path
) -> None:
    (tmp_path / "root.zone").write_text(ROOT_ZONE)
    (tmp_path / "resolv.conf").write_text("search prod.svc.cluster.local svc.cluster.local cluster.local\n")
    text = f"autopath resolv.conf\nkubernetes cluster.local {{\nendpoint {outage.url}\n}}\nfile root.zone ."
    async with running(text, tmp_path) as server:
        assert await said(server, "outside.example.prod.svc.cluster.local") == "192.0.2.8"
        await outlast(outage, server, held_clock)
        assert await said(server, "outside.example.prod.svc.cluster.local") == "SERVFAIL 22"


async def test_a_page_whose_first_probe_comes_while_stale_is_ready(
    outage: Outage, held_clock: HeldClock, tmp_path: Path
) -> None:
    block = f"kubernetes cluster.local {{\nendpoint {outage.url}\n}}\nready :0"
    async with running(block, tmp_path) as server:
        await outlast(outage, server, held_clock)
        assert (await ready_says(server))[0] == 200, "the first probe of this page"
