"""TLS contexts: a handshake between the two kinds, and an error of its own for each file that cannot be used."""

import os
import socket
import ssl
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from peers import need

from clusterdns.host.tls import (
    AuthorityError,
    KeyPairError,
    TlsError,
    UnreadableFileError,
    client_context,
    server_context,
)
from testing.certificates import make_authority, self_sign, sign


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("openssl")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("dns", "other"):
        (folder / name).mkdir()
        self_sign(folder / name, f"{name}.example")
    (folder / "nonsense.pem").write_text("nonsense")
    return folder


def paths(folder: Path, name: str = "dns") -> tuple[str, str]:
    return str(folder / name / "cert.pem"), str(folder / name / "key.pem")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "dns.example") -> str | None:
    """Connect the two in memory; return the protocol version. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (near, far) * 3:
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return near.version()


def test_a_client_trusts_the_authority_that_is_named(folder: Path) -> None:
    server = server_context(*paths(folder))
    assert shake_hands(server, client_context(ca=paths(folder)[0])) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client_context(ca=paths(folder, "other")[0]))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client_context())
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client_context(ca=paths(folder)[0]), "wrong.example")


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Python's default contexts verify as from 3.13 on."""
    default = ssl.create_default_context

    def make(**arguments: Any) -> ssl.SSLContext:
        context = default(**arguments)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", make)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(
    "extensions",
    [
        ("basicConstraints=critical,CA:TRUE",),  # no keyUsage
        ("basicConstraints=CA:TRUE",),  # not critical
        ("basicConstraints=CA:TRUE", "keyUsage=keyCertSign"),
    ],
)
@pytest.mark.parametrize(("alternative", "name"), [("DNS:dns.example", "dns.example"), ("IP:127.0.0.1", "127.0.0.1")])
def test_private_authorities_need_no_more_extensions_than_for_go(
    tmp_path: Path, extensions: tuple[str, ...], alternative: str, name: str
) -> None:
    need("openssl")
    authority = make_authority(tmp_path, *extensions)
    pair = sign(tmp_path, "server", "/CN=server", alternative)
    client = client_context(ca=str(authority.cert))
    assert shake_hands(server_context(str(pair.cert), str(pair.key)), client, name) == "TLSv1.3"
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server_context(str(pair.cert), str(pair.key)), client, "other.example")
    both = server_context(str(pair.cert), str(pair.key), ca=str(authority.cert), verify=ssl.CERT_REQUIRED)
    shown = client_context(str(pair.cert), str(pair.key), ca=str(authority.cert))
    assert shake_hands(both, shown, name) == "TLSv1.3"


@pytest.mark.usefixtures("strict")
def test_an_intermediate_authority_may_be_the_trusted_one(tmp_path: Path) -> None:
    need("openssl")
    make_authority(tmp_path)
    issued = tmp_path / "issued"
    issued.mkdir()
    made = sign(tmp_path, "middle", "/CN=middle", is_authority=True)
    for file, name in [(made.cert, "ca.crt"), (made.key, "ca.key")]:
        (issued / name).write_bytes(file.read_bytes())
    pair = sign(issued, "server", "/CN=server", "DNS:dns.example")
    client = client_context(ca=str(made.cert))
    assert shake_hands(server_context(str(pair.cert), str(pair.key)), client) == "TLSv1.3"


def test_a_client_that_does_not_verify_accepts_any_certificate(folder: Path) -> None:
    server = server_context(*paths(folder))
    assert shake_hands(server, client_context(ca=paths(folder, "other")[0], verifies=False), "other.example")


def test_a_server_accepts_the_clients_that_its_authority_has_signed(folder: Path) -> None:
    server = server_context(*paths(folder), ca=paths(folder, "other")[0], verify=ssl.CERT_REQUIRED)
    assert shake_hands(server, client_context(*paths(folder, "other"), ca=paths(folder)[0]))
    with pytest.raises(ssl.SSLError):
        shake_hands(server, client_context(ca=paths(folder)[0]))


def test_a_server_makes_one_handshake_per_connection(folder: Path) -> None:
    need("openssl")
    server = server_context(*paths(folder))
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as serving:

        def serve() -> None:
            with server.wrap_socket(listening.accept()[0], server_side=True) as connection, suppress(ssl.SSLError):
                connection.recv(100)

        served = serving.submit(serve)
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        command = ["openssl", "s_client", "-connect", address, "-tls1_2"]
        client = subprocess.run(command, input="R\n", capture_output=True, text=True, timeout=60)
        assert "RENEGOTIATING" in client.stdout + client.stderr
        assert "no renegotiation" in client.stderr
        served.result()


def test_a_server_speaks_the_versions_that_are_given(folder: Path) -> None:
    version = ssl.TLSVersion.TLSv1_2
    server = server_context(*paths(folder), minimum=version, maximum=version)
    assert shake_hands(server, client_context(ca=paths(folder)[0])) == "TLSv1.2"


def test_a_file_that_cannot_be_read_is_named(folder: Path, tmp_path: Path) -> None:
    cert, key = paths(folder)
    missing, pipe = str(tmp_path / "missing"), str(tmp_path / "pipe")
    os.mkfifo(pipe)
    for path, reason in [(missing, "no such file or directory"), (pipe, "is a pipe or socket, not a file")]:
        attempts: list[Callable[[], ssl.SSLContext]] = [
            partial(server_context, path, key),
            partial(server_context, cert, path),
            partial(server_context, cert, key, ca=path),
            partial(client_context, path, key),
            partial(client_context, ca=path),
        ]
        for attempt in attempts:
            with pytest.raises(UnreadableFileError) as raised:
                attempt()
            assert (raised.value.path, str(raised.value)) == (path, reason)


def test_a_key_of_another_certificate(folder: Path) -> None:
    cert, key = paths(folder)[0], paths(folder, "other")[1]
    for make in (server_context, client_context):
        with pytest.raises(KeyPairError, match=r"^key values mismatch$"):
            make(cert, key)


def test_authorities_without_a_certificate(folder: Path) -> None:
    nonsense = str(folder / "nonsense.pem")
    with pytest.raises(AuthorityError, match="no certificate"):
        server_context(*paths(folder), ca=nonsense)
    with pytest.raises(TlsError, match="no certificate"):
        client_context(ca=nonsense)
