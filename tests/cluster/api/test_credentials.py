"""Credentials for the API server: the size of the library, tokens that rotate, and kubeconfigs that are invalid."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from peers import need

from clusterdns.cluster.api import credentials
from clusterdns.cluster.api.credentials import Credentials, load
from clusterdns.cluster.api.errors import CredentialsError
from clusterdns.cluster.api.settings import ApiSettings, ClientTls
from testing.certificates import make_authority, sign

REPORT = """
import asyncio, json, sys
from clusterdns.cluster.api.credentials import load
from clusterdns.cluster.api.settings import ApiSettings
{before}
async def main():
    credentials = await load(ApiSettings(kubeconfig=sys.argv[1]))
    print(json.dumps([credentials.session.server, await credentials.headers(), sorted(sys.modules)]))
    await credentials.close()
asyncio.run(main())
{after}
"""
NO_STAND_INS = """
import contextlib
from clusterdns.cluster.api import credentials
@contextlib.contextmanager
def laid_out_differently():
    import kubernetes_asyncio.config.dateutil  # something was loaded before it failed
    raise ImportError("no such module")
    yield
credentials._without_models = laid_out_differently
"""
NO_HOME = """
import os, pwd
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
os.environ.pop("HOME", None)
"""
REAL_ONE_AFTERWARDS = """
import kubernetes_asyncio.client
assert kubernetes_asyncio.client.CoreV1Api and kubernetes_asyncio.config.load_kube_config
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Callable[..., ApiSettings]:
    """Writes a kubeconfig for a user and gives the settings that name it."""

    def write(user: dict[str, Any], **cluster: Any) -> ApiSettings:
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps({
            "current-context": "c",
            "contexts": [
                {"name": "c", "context": {"cluster": "c", "user": "u"}},
                {"name": "other", "context": {"cluster": "other", "user": "u"}},
            ],
            "clusters": [
                {"name": "c", "cluster": {"server": "http://192.0.2.1:8001/", **cluster}},
                {"name": "other", "cluster": {"server": "http://192.0.2.2"}},
            ],
            "users": [{"name": "u", "user": user}],
        }))  # fmt: skip
        return ApiSettings(kubeconfig=str(path))

    return write


@asynccontextmanager
async def loaded(settings: ApiSettings) -> AsyncIterator[Credentials]:
    found = await load(settings)
    try:
        yield found
    finally:
        await found.close()


@pytest.mark.parametrize(
    ("before", "after", "has_models"),
    [("", "", False), ("", REAL_ONE_AFTERWARDS, False), (NO_STAND_INS, "", True), (NO_HOME, "", False)],
    ids=["without models", "the whole package can be imported later", "fallback to the plain import", "no home"],
)
def test_the_generated_models_are_not_imported(
    kubeconfig: Callable[..., ApiSettings], before: str, after: str, has_models: bool
) -> None:
    path = kubeconfig({"token": "secret"}).kubeconfig
    program = REPORT.format(before=before, after=after)
    out = subprocess.run([sys.executable, "-c", program, path], check=True, capture_output=True, text=True).stdout
    url, headers, modules = json.loads(out)
    assert url == "http://192.0.2.1:8001"
    assert headers == {"authorization": "Bearer secret"}
    models = [name for name in modules if name.startswith("kubernetes_asyncio.client.models.")]
    assert bool(models) is has_models


async def test_the_context_chooses(kubeconfig: Callable[..., ApiSettings]) -> None:
    path = kubeconfig({"username": "me", "password": "pass"}).kubeconfig
    async with loaded(ApiSettings(kubeconfig=path, context="other")) as found:
        assert found.session.server == "http://192.0.2.2"
        assert await found.headers() == {"authorization": "Basic bWU6cGFzcw=="}


async def test_no_user_no_header(kubeconfig: Callable[..., ApiSettings]) -> None:
    async with loaded(kubeconfig({}, **{"tls-server-name": "kube", "proxy-url": "http://192.0.2.9"})) as found:
        assert await found.headers() == {}
        assert found.session._options == {"proxy": "http://192.0.2.9", "server_hostname": "kube"}


async def test_a_token_file_is_read_again(
    kubeconfig: Callable[..., ApiSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "RELOAD_SECONDS", 0.0)
    token = tmp_path / "token"
    token.write_text("one\n")
    async with loaded(kubeconfig({"tokenFile": str(token)})) as found:
        assert await found.headers() == {"authorization": "Bearer one"}
        token.write_text("two\n")
        assert await found.headers() == {"authorization": "Bearer two"}
        token.unlink()
        with pytest.raises(CredentialsError, match="No such file"):
            await found.headers()


async def test_an_exec_plugin_runs_again_when_its_token_ends(
    kubeconfig: Callable[..., ApiSettings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "RELOAD_SECONDS", 0.0)
    runs = tmp_path / "runs"
    plugin = tmp_path / "plugin"
    status = '{"token": "t%s", "expirationTimestamp": "%s"}'
    plugin.write_text(
        "#!/bin/sh\n"
        f"echo x >> {runs}\n"
        f"n=$(wc -l < {runs} | tr -d ' ')\n"
        'if [ "$n" = 1 ]; then until=2001-01-01T00:00:00Z; else until=2999-01-01T00:00:00Z; fi\n'
        f'printf \'{{"apiVersion": "v1", "kind": "ExecCredential", "status": {status}}}\' $n $until\n'
    )
    plugin.chmod(0o700)
    async with loaded(kubeconfig({"exec": {"apiVersion": "v1", "command": str(plugin)}})) as found:
        tokens = [(await found.headers())["authorization"] for _ in range(3)]
    assert tokens == ["Bearer t2", "Bearer t2", "Bearer t2"]
    assert runs.read_text().count("x") == 2


async def test_a_token_file_goes_before_a_token(kubeconfig: Callable[..., ApiSettings], tmp_path: Path) -> None:
    settings = kubeconfig({"token": "inline", "tokenFile": "secrets/token"})
    async with loaded(settings) as found:
        assert await found.headers() == {"authorization": "Bearer inline"}
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/token").write_text("of the file")
    async with loaded(settings) as found:
        assert await found.headers() == {"authorization": "Bearer of the file"}


async def test_files_are_relative_to_the_kubeconfig(kubeconfig: Callable[..., ApiSettings], tmp_path: Path) -> None:
    need("openssl")
    make_authority(tmp_path)
    sign(tmp_path, "client", "/CN=client")
    user = {"client-certificate": "client.crt", "client-key": "./client.key"}
    cluster = {"server": "https://192.0.2.1", "certificate-authority": "ca.crt"}
    async with loaded(kubeconfig(user, **cluster)) as found:
        assert found.session.server == "https://192.0.2.1"


async def test_a_plugins_certificate_is_shown_until_it_expires(
    kubeconfig: Callable[..., ApiSettings], tmp_path: Path
) -> None:
    need("openssl")
    make_authority(tmp_path)
    sign(tmp_path, "client", "/CN=client")
    status = {
        "clientCertificateData": (tmp_path / "client.crt").read_text(),
        "clientKeyData": (tmp_path / "client.key").read_text(),
    }
    plugin = tmp_path / "plugin"
    for until, has_expired in (("2999-01-01T00:00:00Z", False), ("2001-01-01T00:00:00Z", True)):
        made = {"apiVersion": "v1", "kind": "ExecCredential", "status": {**status, "expirationTimestamp": until}}
        plugin.write_text(f"#!{sys.executable}\nprint({json.dumps(made)!r})\n")
        plugin.chmod(0o700)
        user = {"exec": {"apiVersion": "v1", "command": "./plugin"}}
        async with loaded(kubeconfig(user, server="https://192.0.2.1", **{"certificate-authority": "ca.crt"})) as found:
            assert found.has_expired() is has_expired
            assert await found.headers() == {}


async def test_a_plugin_that_is_missing_is_named_with_its_hint(kubeconfig: Callable[..., ApiSettings]) -> None:
    settings = kubeconfig({"exec": {"apiVersion": "v1", "command": "no-such-plugin", "installHint": "Get it."}})
    text = f"^kubeconfig {settings.kubeconfig}: exec: no-such-plugin: not found in \\$PATH; installHint: Get it\\.$"
    with pytest.raises(CredentialsError, match=text):
        await load(settings)


async def test_a_service_account_token_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("openssl")
    credentials._client_library(reads_kubeconfig=True)
    incluster = sys.modules["kubernetes_asyncio.config.incluster_config"]
    token = tmp_path / "token"
    token.write_text("one")
    make_authority(tmp_path)
    monkeypatch.setattr(incluster, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setattr(incluster, "TOKEN_REFRESH_PERIOD", incluster.datetime.timedelta(0))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    async with loaded(ApiSettings()) as found:
        assert found.session.server == "https://[fd00::1]:443"
        token.write_text("two")
        assert await found.headers() == {"authorization": "Bearer two"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (ApiSettings(), "not in a pod of a cluster (Service host/port is not set); set kubeconfig or endpoint"),
        (ApiSettings(kubeconfig="/nowhere"), "kubeconfig /nowhere: not found"),
        (ApiSettings(kubeconfig="{file}", context="none"), "kubeconfig {file} (context none): Invalid kube-config"),
        (
            ApiSettings(endpoint="https://192.0.2.1", tls=ClientTls("/c", "/k", "/ca")),
            "endpoint https://192.0.2.1 with tls /c /k /ca: /c: no such file or directory",
        ),
    ],
)
async def test_reasons(
    kubeconfig: Callable[..., ApiSettings], settings: ApiSettings, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    file = kubeconfig({}).kubeconfig
    one = ApiSettings(settings.kubeconfig.replace("{file}", file), settings.context, settings.endpoint, settings.tls)
    with pytest.raises(CredentialsError) as caught:
        await load(one)
    assert str(caught.value).startswith(reason.replace("{file}", file))


@pytest.mark.parametrize("content", ["", "[]", "text", "{", "a: b", "contexts: 5\ncurrent-context: c", "\x00"])
async def test_any_file_as_kubeconfig(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(CredentialsError, match=f"^kubeconfig {path}: "):
        await load(ApiSettings(kubeconfig=str(path)))


async def test_a_home_relative_path(kubeconfig: Callable[..., ApiSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, name = os.path.split(kubeconfig({}).kubeconfig)
    monkeypatch.setenv("HOME", folder)
    async with loaded(ApiSettings(kubeconfig=f"~/{name}")) as found:
        assert found.session.server == "http://192.0.2.1:8001"
