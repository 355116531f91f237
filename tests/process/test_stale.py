"""A server whose API server goes away and comes back: answers over UDP and TCP, log, /ready, metrics and `status`."""

from collections.abc import Iterator
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest
from plugins.api_outage import Outage
from process.running import PORT, Start
from program import run_script

from testing.fake_apiserver import event, service
from testing.loop_thread import LoopThread
from testing.waiting import wait_for

COREFILE = """.:1053 {
    bind HOST
    ready HOST:8181
    prometheus HOST:9153
    kubernetes cluster.local {
        endpoint URL
        stale_after 5s
    }
}
"""
WEB, NEW = "web.prod.svc.cluster.local", "new.prod.svc.cluster.local"


@pytest.fixture
def api() -> Iterator[LoopThread]:
    thread = LoopThread("API server")
    thread.start()
    yield thread
    thread.stop()


def test_an_outage_longer_than_the_limit_and_its_end(start: Start, api: LoopThread, tmp_path: Path) -> None:
    outage = Outage()
    api.call(outage.end())
    server = start(COREFILE.replace("URL", outage.url)).wait_serving()

    def said(name: str) -> list[str]:
        """What clients get over UDP, over UDP with EDNS, over TCP, and over TCP with EDNS."""
        queries = [dns.message.make_query(name, "A", use_edns=edns) for edns in (-1, 0)]
        return [
            text_of(send(one, server.host, 30.0, PORT)) for send in (dns.query.udp, dns.query.tcp) for one in queries
        ]

    def is_current() -> bool:
        return run_script(["status", "-s", server.host], tmp_path).code == 0

    assert said(WEB) == ["10.96.0.1", "10.96.0.1"] * 2
    assert said(NEW) == ["NXDOMAIN", "NXDOMAIN"] * 2
    assert is_current()

    api.call(outage.begin())
    wait_for(lambda: said(NEW)[0] == "SERVFAIL", "held negative answers")
    assert said(NEW) == ["SERVFAIL", "SERVFAIL 22"] * 2
    assert said(WEB) == ["10.96.0.1", "10.96.0.1 3"] * 2
    page = server.get(8181, "/ready")
    assert page.status == 200
    assert "not known to be current" in page.text
    assert server.metric("clusterdns_watch_connected", kind="Service") == 0
    assert server.metric("clusterdns_watch_staleness_seconds", kind="Service") >= 5.0
    assert server.metric("clusterdns_objects", kind="Service") == 1
    assert not is_current()

    api.call(outage.end(event("ADDED", service("new", "10.96.0.2", version=5000))))
    seen: set[str] = set()

    def is_over() -> bool:
        seen.update(said(NEW))
        return is_current()

    wait_for(is_over, "the end of the outage")
    assert "NXDOMAIN" not in seen, "a name that exists is never denied"
    assert said(NEW) == ["10.96.0.2", "10.96.0.2"] * 2
    assert said("foo.prod.svc.cluster.local") == ["NXDOMAIN", "NXDOMAIN"] * 2
    lines = [line for line in server.out.splitlines() if " current" in line]
    assert [line.partition(": ")[2].partition(" ")[0] for line in lines] == ["not", "current"]
    api.call(outage.begin())


def text_of(reply: dns.message.Message) -> str:
    """The address or the response code, and the extended errors."""
    records = [one.to_text() for rrset in reply.answer for one in rrset]
    errors = [str(int(one.code)) for one in reply.options if isinstance(one, dns.edns.EDEOption)]
    return " ".join([*(records or [dns.rcode.to_text(reply.rcode())]), *errors])
