"""DNS over TLS: answered as over TCP, within its limits, and with the certificate that the last reload has read."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import pytest
from peers import need
from process.running import WEB, CorefileServer, Start
from process.test_reload import reload, rewrite

from testing.certificates import self_sign
from testing.waiting import PATIENCE_SECONDS

TLS_PORT = 8853
COREFILE = f"""
tls://.:{TLS_PORT} {{
    bind HOST
    tls ../cert.pem ../key.pem ../cert.pem {{
        client_auth nocert
    }}
    timeouts {{
        maxtcpqueries 3
    }}
    multisocket 2
    kubernetes cluster.local {{
        manifests cluster
    }}
    prometheus HOST:9153
}}
"""


@pytest.fixture
def server(start: Start, tmp_path: Path) -> CorefileServer:
    """A server of DNS over TLS, its certificate in the folder above its own."""
    need("openssl")
    self_sign(tmp_path, "first.example")
    return start(COREFILE).wait_serving()


@contextmanager
def connected(server: CorefileServer, *, with_certificate: bool = False) -> Iterator[ssl.SSLSocket]:
    """A verified TLS connection."""
    context = ssl.create_default_context(cafile=server.folder.parent / "cert.pem")
    context.check_hostname = False
    if with_certificate:
        context.load_cert_chain(server.folder.parent / "cert.pem", server.folder.parent / "key.pem")
    with (
        socket.create_connection((server.host, TLS_PORT), timeout=PATIENCE_SECONDS) as sock,
        context.wrap_socket(sock) as secured,
    ):
        yield secured


def ask(secured: ssl.SSLSocket, number: int = 1) -> list[str]:
    send(secured, number)
    reply = receive(secured)
    assert reply.id == number
    return [str(one) for rrset in reply.answer for one in rrset]


def send(secured: ssl.SSLSocket, number: int) -> None:
    query = dns.message.make_query(WEB, "A", id=number).to_wire()
    secured.sendall(struct.pack(">H", len(query)) + query)


def receive(secured: ssl.SSLSocket) -> dns.message.Message:
    prefix = secured.recv(2)
    if not prefix:
        raise ConnectionError("closed")
    (size,) = struct.unpack(">H", prefix)
    return dns.message.from_wire(secured.recv(size))


def test_server_answers_over_tls_and_prints_the_zone(server: CorefileServer) -> None:
    with connected(server) as secured:
        assert secured.version() in ("TLSv1.2", "TLSv1.3")
        assert ask(secured) == ["10.96.0.10"]
    assert server.out.splitlines().count(f"tls://.:{TLS_PORT} on {server.host}") == 2
    facts = {"server": f"tls://{server.host}:{TLS_PORT}", "proto": "tcp"}
    assert server.metric("coredns_dns_requests_total", **facts) == 1


def test_a_connection_ends_after_its_last_query(server: CorefileServer) -> None:
    with connected(server) as secured:
        for number in range(4):
            send(secured, number)
        assert [receive(secured).id for _ in range(3)] == [0, 1, 2]
        assert secured.recv(1) == b""


def test_a_renewed_certificate_is_used_and_old_connections_stay_open(server: CorefileServer) -> None:
    with connected(server) as before:
        assert ask(before) == ["10.96.0.10"]
        old = before.getpeercert(binary_form=True)
        self_sign(server.folder.parent, "second.example")
        reload(server)
        with connected(server) as after:  # verified with the new file
            assert after.getpeercert(binary_form=True) != old
            assert ask(after) == ["10.96.0.10"]
        assert ask(before, 2) == ["10.96.0.10"]
        (server.folder.parent / "key.pem").write_text("no key")
        reload(server, outcome="Restart failed")
        with connected(server) as still:
            assert ask(still) == ["10.96.0.10"]
    assert server.err == ""


def test_client_certificates_can_be_required(server: CorefileServer) -> None:
    rewrite(server, COREFILE.replace("nocert", "require_and_verify"))
    reload(server)
    with connected(server, with_certificate=True) as secured:
        assert ask(secured) == ["10.96.0.10"]
    with pytest.raises(OSError), connected(server) as secured:  # noqa: PT011  # an alert or a reset, as TLS has it
        ask(secured)


def test_open_connections_do_not_delay_the_exit(server: CorefileServer) -> None:
    with connected(server) as secured, socket.create_connection((server.host, TLS_PORT)):
        assert ask(secured) == ["10.96.0.10"]
        send(secured, 9)
        assert server.stop() == 0
        assert receive(secured).id == 9
    assert server.err == ""
