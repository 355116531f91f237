"""`prometheus { tls }`: the web configuration, and /metrics over HTTPS."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest
from peers import need

from clusterdns.admin.http import AdminHttp, AdminRoute, ListenError
from clusterdns.admin.tls import AdminTls
from clusterdns.chain import BlockContext
from clusterdns.corefile.directive import Directive
from clusterdns.plugins.prometheus import directive as prometheus
from clusterdns.plugins.prometheus.web_config import WebConfigError, read_web_config
from testing.certificates import make_authority, sign

ADDRESS = "127.0.0.1:0"
SERVER = "cert_file: server.crt, key_file: server.key"


class Shared(Protocol):
    """The routes that the fixture `shared` records."""

    routes: list[AdminRoute]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("openssl")
    folder = tmp_path_factory.mktemp("web")
    make_authority(folder)
    for name in ("server", "renewed", "client"):
        sign(folder, name, f"/CN={name}", "IP:127.0.0.1")
    return folder


def written(folder: Path, text: str) -> str:
    path = folder / "web.yml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("text", ["", "{}", "tls_server_config:", "http_server_config: {http2: false}"])
def test_without_tls(tmp_path: Path, text: str) -> None:
    assert read_web_config(written(tmp_path, text)) is None


def test_everything(certificates: Path) -> None:
    more = "client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.crt, min_version: TLS13, max_version: TLS13"
    path = written(certificates, f"tls_server_config: {{{SERVER}, {more}, prefer_server_cipher_suites: true}}")
    version = ssl.TLSVersion.TLSv1_3
    cert, key, ca = (str(certificates / name) for name in ("server.crt", "server.key", "ca.crt"))
    assert read_web_config(path) == AdminTls(cert, key, ca, ssl.CERT_OPTIONAL, version, version)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "is not YAML: "),
        ("- x", "the file must be a mapping"),
        ("basic_auth_users: {me: x}", "basic_auth_users in the file is not supported; known are tls_server_config"),
        ("http_server_config: {headers: {}}", "headers in http_server_config is not supported"),
        ("tls_server_config: {cipher_suites: [x]}", "cipher_suites in tls_server_config is not supported; known are"),
        ("tls_server_config: {cert_file: server.crt}", "tls_server_config needs cert_file and key_file"),
        ("tls_server_config: {cert_file: no.crt, key_file: no.key}", r".*no.crt, .*no.key: cannot be used: no such"),
        ("tls_server_config: {cert_file: server.crt, key_file: ca.key}", ".*: cannot be used: key values mismatch"),
        (f"tls_server_config: {{{SERVER}, min_version: SSL3}}", "min_version 'SSL3' is not supported; use TLS10, "),
        (
            f"tls_server_config: {{{SERVER}, client_auth_type: RequireAnyClientCert}}",
            "client_auth_type 'RequireAnyClientCert' is not supported; use NoClientCert, ",
        ),
        (
            f"tls_server_config: {{{SERVER}, client_auth_type: RequireAndVerifyClientCert}}",
            "client_auth_type RequireAndVerifyClientCert needs client_ca_file",
        ),
        (
            f"tls_server_config: {{{SERVER}, client_ca_file: ca.crt}}",
            "client_ca_file needs client_auth_type RequireAndVerifyClientCert",
        ),
    ],
)
def test_mistakes(certificates: Path, text: str, problem: str) -> None:
    with pytest.raises(WebConfigError, match=problem):
        read_web_config(written(certificates, text))


async def asked(port: int, folder: Path, client: str = "") -> str:
    """Read /metrics; return the name in the server's certificate."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if client:
        context.load_cert_chain(folder / f"{client}.crt", folder / f"{client}.key")
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        shown = dict(pair for (pair,) in writer.get_extra_info("peercert")["subject"])
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"coredns_build_info" in await reader.read()
        return str(shown["commonName"])
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def test_https_whose_certificate_is_renewed(
    certificates: Path,
    tmp_path: Path,
    read_directives: Callable[[str], Sequence[Directive]],
    context: BlockContext,
    shared: Shared,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def show(name: str) -> None:
        for end in ("crt", "key"):
            new = tmp_path / f"new.{end}"
            new.write_bytes((certificates / f"{name}.{end}").read_bytes())
            new.rename(tmp_path / f"server.{end}")

    show("server")
    limits = f"client_auth_type: RequireAndVerifyClientCert, client_ca_file: {certificates}/ca.crt"
    path = written(tmp_path, f"tls_server_config: {{{SERVER}, {limits}}}")
    settings = prometheus.parse(read_directives(f"prometheus {ADDRESS} {{\n tls {path}\n}}"), context)
    part = prometheus.build(settings, context)
    assert part.life.serving is not None
    await part.life.serving()
    admin = AdminHttp()
    await admin.apply(shared.routes)
    port = admin.port(ADDRESS)
    try:
        assert await asked(port, certificates, "client") == "server"
        with pytest.raises((OSError, AssertionError)):
            await asked(port, certificates)
        show("renewed")
        await admin.apply(shared.routes)  # a reload: the listener stays
        assert admin.port(ADDRESS) == port
        assert await asked(port, certificates, "client") == "renewed"
        (tmp_path / "server.key").write_text("spoilt")
        assert await asked(port, certificates, "client") == "renewed"
        assert "the certificate stays as it was" in caplog.text
        (other,) = shared.routes
        with pytest.raises(ListenError, match=r"^Corefile:9: health: .* has other TLS settings in"):
            await admin.apply([other, AdminRoute(ADDRESS, "/health", other.respond, "Corefile:9: health")])
        assert await asked(port, certificates, "client") == "renewed"
    finally:
        await admin.close()
