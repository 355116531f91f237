"""Certificate authorities of the system: deferred contexts read none at first, and all of them at a handshake."""

import asyncio
import ssl
from pathlib import Path

import pytest

from clusterdns.host.authorities import deferred_authorities
from testing import certificates


def deferred_context() -> ssl.SSLContext:
    with deferred_authorities():
        return ssl.create_default_context()


def test_authorities_are_not_read_when_a_context_is_made() -> None:
    assert deferred_context().get_ca_certs() == []


def test_contexts_made_afterwards_read_them_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = certificates.make_authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    deferred_context()
    assert len(ssl.create_default_context().get_ca_certs()) == 1


async def test_a_handshake_reads_them_and_verifies_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = certificates.make_authority(tmp_path)
    shown = certificates.sign(tmp_path, "server", "/CN=server", "IP:127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=shown.server_context())
    port = server.sockets[0].getsockname()[1]
    context = deferred_context()
    async with server:
        for _ in range(2):  # the second connection finds an ordinary context
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            assert await reader.read() == b"hello"
            writer.close()
            assert type(context) is ssl.SSLContext
    assert len(context.get_ca_certs()) == 1


async def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    certificates.make_authority(tmp_path)
    shown = certificates.sign(tmp_path, "server", "/CN=server", "IP:127.0.0.1")
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=shown.server_context())
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=deferred_context())
