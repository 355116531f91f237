"""A running server: it answers over both transports, serves the admin pages, and counts exactly."""

import socket
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
from process.running import MANIFEST, PORT, WEB, Start

from clusterdns.version import banner
from testing.ports import free_ports
from testing.waiting import PATIENCE_SECONDS, wait_for

COREFILE = f"""
.:{PORT} {{
    bind HOST
    errors
    health HOST:8080
    ready HOST:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        manifests cluster
    }}
    prometheus HOST:9153
    loadbalance
}}
"""

QUESTIONS = {
    "A over UDP": (["+notcp", WEB, "A"], ["10.96.0.10"]),
    "A over TCP": (["+tcp", WEB, "A"], ["10.96.0.10"]),
    "AAAA": ([WEB, "AAAA"], ["fd00::10"]),
    "SRV": (["_http._tcp." + WEB, "SRV"], [f"0 100 80 {WEB}."]),
    "PTR of IPv4": (["-x", "10.96.0.10"], [f"{WEB}."]),
    "PTR of IPv6 over TCP": (["+tcp", "-x", "fd00::10"], [f"{WEB}."]),
    "a name that does not exist": (["nosuch." + WEB, "A"], []),
}


def test_answers(start: Start) -> None:
    server = start(COREFILE).wait_serving()
    found = {what: server.dig(*words) for what, (words, _) in QUESTIONS.items()}
    assert found == {what: expected for what, (_, expected) in QUESTIONS.items()}


def test_admin_pages(start: Start) -> None:
    server = start(COREFILE).wait_serving()
    assert server.get(8080, "/health") == (200, "OK")
    assert server.get(8181, "/ready") == (200, "OK")
    assert "coredns_build_info" in server.get(9153, "/metrics").text
    assert server.get(9153, "/nosuch").status == 404
    assert server.out.splitlines()[1:] == [f".:{PORT} on {server.host}", *banner().splitlines()]


def test_a_server_on_every_address_has_one_udp_socket_per_family(start: Start) -> None:
    (port,) = free_ports(1)
    server = start(f".:{port} {{\n ready HOST:8181\n whoami\n}}\n").wait_serving()
    sockets = [
        line.split()[1]
        for table in ("udp", "udp6")
        for line in Path(f"/proc/{server.pid}/net/{table}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}")
    ]
    expected = [f"{'0' * digits}:{port:04X}" for digits in ((8, 32) if socket.has_dualstack_ipv6() else (8,))]
    assert sockets == expected
    query = dns.message.make_query("whoami.test", "A")
    for address in ("127.0.0.1", server.host):  # dnspython accepts no reply from another address
        assert dns.query.udp(query, address, timeout=PATIENCE_SECONDS, port=port).rcode() == dns.rcode.NOERROR


def test_quiet_prints_neither_zones_nor_version(start: Start) -> None:
    server = start(COREFILE, "-quiet")
    wait_for(lambda: server.get(8181, "/ready").status == 200, "readiness")
    assert server.stop() == 0
    assert all(line.startswith("[INFO]") for line in server.out.splitlines())


def test_counters_equal_the_number_of_queries(start: Start) -> None:
    server = start(COREFILE).wait_serving()
    zone = {"server": f"dns://{server.host}:{PORT}", "zone": "."}
    hits, absent, over_tcp = 50, 7, 20
    server.dig("+notcp", *[WEB, "A"] * hits)
    server.dig("+notcp", "+noedns", *[f"nosuch.{WEB}", "AAAA"] * absent)
    server.dig("+tcp", *[WEB, "A"] * over_tcp)
    total = hits + absent + over_tcp
    udp, tcp = {**zone, "proto": "udp", "family": "1"}, {**zone, "proto": "tcp", "family": "1"}
    assert server.metric("coredns_dns_requests_total", **udp, type="A") == hits
    assert server.metric("coredns_dns_requests_total", **udp, type="AAAA") == absent
    assert server.metric("coredns_dns_requests_total", **tcp, type="A") == over_tcp
    assert server.metric("coredns_dns_requests_total") == total
    assert server.metric("coredns_dns_responses_total", **zone, rcode="NOERROR") == hits + over_tcp
    assert server.metric("coredns_dns_responses_total", **zone, rcode="NXDOMAIN") == absent
    assert server.metric("coredns_dns_responses_total") == total
    assert server.metric("coredns_dns_request_duration_seconds_count", **zone) == total
    for what in ("request", "response"):
        assert server.metric(f"coredns_dns_{what}_size_bytes_count", **zone, proto="udp") == hits + absent
        assert server.metric(f"coredns_dns_{what}_size_bytes_count", **zone, proto="tcp") == over_tcp
    assert server.metric("coredns_dns_request_duration_seconds_bucket", **zone, le="+Inf") == total
    server.dig("+notcp", *[WEB, "A"] * 3)
    assert server.metric("coredns_dns_requests_total") == total + 3


def test_an_edited_manifest_changes_answers_and_a_broken_one_does_not(start: Start) -> None:
    server = start(COREFILE).wait_serving()
    manifest = server.folder / "cluster" / "web.yaml"
    manifest.write_text(MANIFEST.replace("10.96.0.10", "10.96.0.77"))
    wait_for(lambda: server.dig(WEB, "A") == ["10.96.0.77"], "the edit")
    manifest.write_text("kind: Service\nspec: [\n")
    wait_for(lambda: "web.yaml:" in server.out, "a line about the broken file")
    assert server.dig(WEB, "A") == ["10.96.0.77"]
    manifest.unlink()
    wait_for(lambda: server.dig(WEB, "A") == [], "the removal")
    manifest.write_text(MANIFEST)
    wait_for(lambda: server.dig(WEB, "A") == ["10.96.0.10"], "the repair")
