"""`tls`, `timeouts`, `multisocket` and `reload`: the directives that configure listeners and the process."""

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import need

from clusterdns.chain import BlockContext, ListenerOptions, Plugin
from clusterdns.chain.exports import ReloadSchedule
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors, ErrorList
from clusterdns.corefile.load import parse
from clusterdns.plugins import multisocket, reload, timeouts, tls
from clusterdns.server.assembly import Configuration, assemble
from clusterdns.telemetry.metrics import Registry
from testing.certificates import self_sign

ReadDirectives = Callable[[str], Sequence[Directive]]

RELOADS = {
    "reload": ReloadSchedule(30, 15),
    "reload 10s": ReloadSchedule(10, 5),
    "reload 2s 0s": ReloadSchedule(2, 0),
    "reload 1m 1s": ReloadSchedule(60, 1),
    "reload 10s 1h": ReloadSchedule(10, 5),
    "reload 40s\nreload 50s": ReloadSchedule(40, 15),
}


@pytest.mark.parametrize(("text", "expected"), RELOADS.items())
def test_reload(read_directives: ReadDirectives, context: BlockContext, text: str, expected: ReloadSchedule) -> None:
    assert reload.parse(read_directives(text), context) == expected


def test_the_last_reload_of_the_file_wins() -> None:
    configuration = assembled("a. {\n reload 10s\n whoami\n}\nb. {\n whoami\n reload 20s\n}\n")
    found = list(configuration.exports(ReloadSchedule))
    assert found[-1] == ReloadSchedule(20, 10)


def test_picks_lie_half_the_jitter_around_the_interval() -> None:
    picks = [ReloadSchedule(30, 15).pick_seconds() for _ in range(200)]
    assert min(picks) >= 22.5
    assert max(picks) <= 37.5
    assert max(picks) - min(picks) > 5


MULTISOCKETS = {"multisocket 1": 1, "multisocket 1024": 1024}


@pytest.mark.parametrize(("text", "expected"), MULTISOCKETS.items())
def test_multisocket(read_directives: ReadDirectives, context: BlockContext, text: str, expected: int) -> None:
    sockets = multisocket.parse(read_directives(text), context)
    assert multisocket.configure_block(sockets, context).listener.sockets == expected


def test_multisocket_defaults_to_the_number_of_processors(
    read_directives: ReadDirectives, context: BlockContext
) -> None:
    assert multisocket.parse(read_directives("multisocket"), context) >= 1


TIMEOUTS = {
    "timeouts {\n read 3s\n}": ListenerOptions(read_seconds=3),
    "timeouts {\n read 20\n write 1m\n idle 24h\n maxtcpqueries 7\n}": ListenerOptions(
        read_seconds=20, write_seconds=60, idle_seconds=86_400, max_queries=7
    ),
    "timeouts {\n idle 5s\n}\ntimeouts {\n maxtcpqueries -1\n idle 6s\n}": ListenerOptions(idle_seconds=6),
}


@pytest.mark.parametrize(("text", "expected"), TIMEOUTS.items())
def test_timeouts(read_directives: ReadDirectives, context: BlockContext, text: str, expected: ListenerOptions) -> None:
    settings = timeouts.parse(read_directives(text), context)
    assert timeouts.configure_block(settings, context).listener == expected


MISTAKES = [
    (reload.PLUGIN, "reload 1s", "Corefile:2: '1s' is out of range"),
    (reload.PLUGIN, "reload 30", "Corefile:2: '30' is not a duration"),
    (reload.PLUGIN, "reload 30s 10ms", "Corefile:2: '10ms' is out of range"),
    (reload.PLUGIN, "reload 30s 1s 1s", "Corefile:2: Wrong argument count"),
    (multisocket.PLUGIN, "multisocket 0", "Corefile:2: '0' is out of range"),
    (multisocket.PLUGIN, "multisocket 1025", "Corefile:2: '1025' is out of range"),
    (multisocket.PLUGIN, "multisocket many", "Corefile:2: 'many' is not an integer"),
    (timeouts.PLUGIN, "timeouts", "Corefile:2: 'timeouts' without any"),
    (timeouts.PLUGIN, "timeouts 3s", "Corefile:2: Wrong argument count"),
    (timeouts.PLUGIN, "timeouts {\n read 0s\n}", "Corefile:3: '0s' is out of range"),
    (timeouts.PLUGIN, "timeouts {\n idle 25h\n}", "Corefile:3: '25h' is out of range"),
    (timeouts.PLUGIN, "timeouts {\n maxtcpqueries 0\n}", "Corefile:3: a connection must be allowed at least one query"),
    (timeouts.PLUGIN, "timeouts {\n maxtcpqueries -2\n}", "Corefile:3: '-2' is out of range"),
    (timeouts.PLUGIN, "timeouts {\n close 3s\n}", "Corefile:3: unknown property 'close'"),
    (tls.PLUGIN, "tls", "Corefile:2: Wrong argument count"),
    (tls.PLUGIN, "tls cert.pem key.pem ca.pem more.pem", "Corefile:2: Wrong argument count"),
    (tls.PLUGIN, "tls nosuch.pem key.pem", "Corefile:2: 'nosuch.pem' cannot be read: no such file"),
    (tls.PLUGIN, "tls cert.pem nonsense.pem", "Corefile:2: 'cert.pem' and 'nonsense.pem' cannot be used: "),
    (tls.PLUGIN, "tls cert.pem other-key.pem", "Corefile:2: 'cert.pem' and 'other-key.pem' cannot be used: "),
    (tls.PLUGIN, "tls cert.pem key.pem nonsense.pem", "Corefile:2: 'nonsense.pem' contains no usable CA"),
    (tls.PLUGIN, "tls cert.pem key.pem {\n client_auth require\n}", "Corefile:3: client_auth require accepts"),
    (tls.PLUGIN, "tls cert.pem key.pem {\n client_auth maybe\n}", "Corefile:3: 'maybe' is not one of"),
    (tls.PLUGIN, "tls cert.pem key.pem {\n keylog no/such/file\n}", "Corefile:3: 'no/such/file' cannot be written"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a certificate, its key, another key, and no PEM at all."""
    monkeypatch.chdir(tmp_path)
    need("openssl")
    self_sign(tmp_path, "dns.example")
    other = tmp_path / "other"
    other.mkdir()
    self_sign(other, "other.example")
    (other / "key.pem").rename(tmp_path / "other-key.pem")
    (tmp_path / "nonsense.pem").write_text("hello")
    return tmp_path


@pytest.mark.parametrize(("plugin", "text", "problem"), MISTAKES)
def test_mistakes(
    read_directives: ReadDirectives, context: BlockContext, folder: Path, plugin: Plugin, text: str, problem: str
) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        plugin.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)


@given(st.sampled_from([reload.PLUGIN, multisocket.PLUGIN, timeouts.PLUGIN]), st.text(max_size=40))
def test_any_text_gives_settings_or_an_error_with_its_place(plugin: Plugin, rest: str) -> None:
    errors = ErrorList()
    corefile = parse(f". {{\n {plugin.name} {rest}\n}}\n", "Corefile", {}, errors=errors)
    context = BlockContext((".",), "dns://:53", Registry(), None)  # type: ignore[arg-type]  # nothing is shared here
    for block in corefile.blocks:
        with errors.collect():
            if directives := block.named(plugin.name):
                plugin.parse(directives, context)
    assert all(str(error).startswith("Corefile:") for error in errors.errors)


CLIENT_AUTH = {
    "nocert": ssl.CERT_NONE,
    "request": ssl.CERT_NONE,
    "verify_if_given": ssl.CERT_OPTIONAL,
    "require_and_verify": ssl.CERT_REQUIRED,
}


@pytest.mark.parametrize(("mode", "expected"), CLIENT_AUTH.items())
def test_tls(
    read_directives: ReadDirectives, context: BlockContext, folder: Path, mode: str, expected: ssl.VerifyMode
) -> None:
    text = f"tls cert.pem key.pem cert.pem {{\n client_auth {mode}\n keylog keys\n}}"
    made = tls.parse(read_directives(text), context)
    assert tls.configure_block(made, context).listener.tls is made
    assert made.verify_mode == expected
    assert made.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (folder / "keys").exists()


TRANSPORTS = {
    "tls:// without a certificate": ("tls://. {\n whoami\n}\n", "Corefile:1: 'tls://.' without the directive 'tls'"),
    "DNS over HTTPS": ("https://. {\n whoami\n}\n", "Corefile:1: clusterdns does not serve https://"),
    "DNS over QUIC": ("quic://. {\n tls cert.pem key.pem\n}\n", "Corefile:1: clusterdns does not serve quic://"),
    "gRPC": ("grpc://. {\n whoami\n}\n", "Corefile:1: clusterdns does not serve grpc://"),
    "two protocols on one port": (
        "dns://.:853 {\n whoami\n}\ntls://. {\n tls cert.pem key.pem\n whoami\n}\n",
        "Corefile:4: port 853 is used for tls:// here and for dns:// at Corefile:1; ",
    ),
}


@pytest.mark.parametrize(("text", "problem"), TRANSPORTS.values(), ids=TRANSPORTS.keys())
def test_unsupported_transports(folder: Path, text: str, problem: str) -> None:
    with pytest.raises(CorefileErrors) as error:
        assembled(text)
    assert str(error.value).startswith(problem)


def test_a_block_may_have_both_protocols(folder: Path) -> None:
    configuration = assembled(". tls://.:8853 {\n bind 127.0.0.9\n tls cert.pem key.pem\n whoami\n}\n")
    assert [point.server_text for point in configuration.listen_points] == [
        "dns://127.0.0.9:53",
        "tls://127.0.0.9:8853",
    ]


def assembled(text: str) -> Configuration:
    return assemble(parse(text, "Corefile", {}), Registry(), dns_port=53)
