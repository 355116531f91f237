"""A server whose API server is dead: from the bind on each query is answered at once, with what is known so far."""

import signal
import socket
from http import HTTPStatus
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
from process.running import PORT, CorefileServer, Start

from testing.upstream.scripted import ScriptedUpstream
from testing.waiting import wait_for

MOST_SECONDS = 4.5  # of one query, on a busy machine; a start that waits for the cluster does for 5 s or more
OTHER_PORT = PORT + 1
COREFILE = f"""
.:{PORT} {{
    bind HOST
    errors
    ready HOST:8181
    hosts FOLDER/hosts example.hosts {{
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa {{
        endpoint http://HOST:6443
        startup_timeout 1h
        fallthrough
    }}
    file FOLDER/db.example example.file
    forward . UPSTREAM
}}
"""
ZONE = "$ORIGIN example.file.\n@ 60 IN SOA ns h 1 7200 1800 86400 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n"
ZONE += "".join(f"host{number} 60 IN A 192.0.2.7\n" for number in range(20_000))

KNOWN = {
    "known.example.hosts.": "192.0.2.3",
    "host19999.example.file.": "192.0.2.7",
    "www.example.org.": None,  # of the upstream
}
UNKNOWN = ("web.prod.svc.cluster.local.", "cluster.local.", "1.0.96.10.in-addr.arpa.")


def ask(
    server: CorefileServer, name: str, qtype: str = "A", *, tcp: bool = False, port: int = PORT
) -> tuple[int, str, str]:
    """The response code, the first address and the cause; within the time that one query may take."""
    send = dns.query.tcp if tcp else dns.query.udp
    query = dns.message.make_query(name, qtype, use_edns=0)
    reply = send(query, server.host, timeout=MOST_SECONDS, port=port)
    causes = [one for one in reply.options if isinstance(one, dns.edns.EDEOption)]
    text = f"{int(causes[0].code)} {causes[0].text}" if causes else ""
    return reply.rcode(), str(reply.answer[0][0]) if reply.answer else "", text


def first_reply(server: CorefileServer, name: str, port: int = PORT) -> tuple[int, str]:
    """Ask from before the bind on; return the first response code and cause. After the bind one query is enough."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((server.host, port))
        sock.settimeout(MOST_SECONDS)

        def ask_once() -> dns.message.Message | None:
            server.require_running("the first reply")
            try:
                sock.send(dns.message.make_query(name, "A", use_edns=0).to_wire())
                return dns.message.from_wire(sock.recv(4096))
            except ConnectionRefusedError:  # not bound yet
                return None

        reply = wait_for(ask_once, "the port to be bound", every_seconds=0.005)
        (cause,) = reply.options
        assert isinstance(cause, dns.edns.EDEOption)
        return reply.rcode(), f"{int(cause.code)} {cause.text}"


def started(start: Start, tmp_path: Path, upstream: ScriptedUpstream) -> CorefileServer:
    (tmp_path / "hosts").write_text("192.0.2.3 known.example.hosts\n")
    (tmp_path / "db.example").write_text(ZONE)
    return start(COREFILE.replace("FOLDER", str(tmp_path)).replace("UPSTREAM", upstream.address))


def test_each_query_is_answered_from_the_bind_on(start: Start, tmp_path: Path) -> None:
    with ScriptedUpstream() as upstream:
        server = started(start, tmp_path, upstream)
        rcode, cause = first_reply(server, UNKNOWN[0])
        assert rcode == dns.rcode.SERVFAIL
        assert cause.startswith("14 kubernetes is not synced: ")
        wait_for(lambda: ask(server, "known.example.hosts.")[1] == "192.0.2.3", "hosts to be read")
        for tcp in (False, True):
            for name in UNKNOWN:
                rcode, _, cause = ask(server, name, "PTR" if "arpa" in name else "A", tcp=tcp)
                assert (rcode, cause.split(":")[0]) == (dns.rcode.SERVFAIL, "14 kubernetes is not synced"), name
        wait_for(lambda: ask(server, "host1.example.file.")[0] == dns.rcode.NOERROR, "the zone file to be read")
        for tcp in (False, True):
            for name, address in KNOWN.items():
                rcode, found, _ = ask(server, name, tcp=tcp)
                assert (rcode, address or found) == (dns.rcode.NOERROR, found), name
                assert found, name
        wait_for(lambda: "connection refused" in ask(server, UNKNOWN[0])[2], "the cause to be known")
        wait_for(lambda: server.get(8181, "/ready").status == HTTPStatus.SERVICE_UNAVAILABLE, "/ready")
        assert "kubernetes" in server.get(8181, "/ready").text
        assert "clusterdns-" not in server.out, "the start is not complete"
        assert f"[ERROR] plugin/errors: 2 {UNKNOWN[0]} A: kubernetes is not synced: " in server.out
        server.send_signal(signal.SIGTERM)
        assert server.wait_ended() == 0
        assert server.err == ""


def test_a_reload_that_adds_a_cluster_answers_at_once(start: Start, tmp_path: Path) -> None:
    """On the ports of the running configuration that one answers; on a new port the one that starts."""
    before = f".:{PORT} {{\n bind HOST\n whoami\n}}\n"
    with ScriptedUpstream() as upstream:
        server = start(before).wait_serving()
        (tmp_path / "hosts").write_text("192.0.2.3 known.example.hosts\n")
        (tmp_path / "db.example").write_text(ZONE)
        added = COREFILE.replace(f":{PORT}", f":{OTHER_PORT}").replace("ready HOST:8181", "")
        text = before + added.replace("FOLDER", str(tmp_path)).replace("UPSTREAM", upstream.address)
        (server.folder / "Corefile").write_text(text.replace("HOST", server.host))
        server.send_signal(signal.SIGHUP)
        rcode, cause = first_reply(server, UNKNOWN[0], OTHER_PORT)
        assert (rcode, cause.split(":")[0]) == (dns.rcode.SERVFAIL, "14 kubernetes is not synced")
        wait_for(lambda: ask(server, "known.example.hosts.", port=OTHER_PORT)[1] == "192.0.2.3", "hosts to be read")
        assert ask(server, "known.example.hosts.", port=OTHER_PORT, tcp=True)[1] == "192.0.2.3"
        assert ask(server, "any.example.org.")[0] == dns.rcode.NOERROR
        assert ask(server, "any.example.org.", tcp=True)[0] == dns.rcode.NOERROR
        assert "Reloading complete" not in server.out
        assert server.stop() == 0
