"""Exec plugins: where they are looked up, what they are told, and every way in which one can fail."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fakes.held_clock import HeldClock, until

from clusterdns.cluster.api.exec_plugin import EXTENSION, PLUGIN_SECONDS, ExecPlugin, PluginError

VERSION = "client.authentication.k8s.io/v1"
CREDENTIAL = {"apiVersion": VERSION, "kind": "ExecCredential", "status": {"token": "secret"}}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a program of Python lines; `mode` are its rights, `first` its first line."""

    def make(name: str, text: str, *, mode: int = 0o700, first: str = f"#!{sys.executable}") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{first}\n{text}\n")
        path.chmod(mode)
        return path

    return make


def plugin(folder: Path, command: str, cluster: dict[str, Any] | None = None, **spec: Any) -> ExecPlugin:
    return ExecPlugin({"apiVersion": VERSION, "command": command, **spec}, cluster or {}, folder)


@pytest.mark.parametrize(
    ("command", "lies_at"),
    [
        ("./plugin", "plugin"),
        ("bin/plugin", "bin/plugin"),
        ("../{folder}/bin/plugin", "bin/plugin"),
        ("{whole}/plugin", "plugin"),
        ("plugin", "in-path/plugin"),
    ],
)
async def test_where_the_command_is_looked_up(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch, command: str, lies_at: str
) -> None:
    write(lies_at, f"print({json.dumps(CREDENTIAL)!r})")
    monkeypatch.setenv("PATH", f"{tmp_path}/in-path:{os.environ['PATH']}")
    monkeypatch.chdir("/")
    named = command.format(folder=tmp_path.name, whole=tmp_path)
    assert (await plugin(tmp_path, named).run()).token == "secret"


async def test_a_bare_name_is_not_looked_up_beside_the_kubeconfig(tmp_path: Path, write: Write) -> None:
    write("plugin-of-this-test", f"print({json.dumps(CREDENTIAL)!r})")
    with pytest.raises(PluginError, match=r"^exec: plugin-of-this-test: not found in \$PATH$"):
        await plugin(tmp_path, "plugin-of-this-test").run()


async def told(folder: Path, write: Write, cluster: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return what a plugin is told: its arguments, a variable of its `env`, and $KUBERNETES_EXEC_INFO."""
    found = "[sys.argv[1:], os.environ.get('PROFILE'), json.loads(os.environ['KUBERNETES_EXEC_INFO'])]"
    write("plugin", f"import json, os, sys\nout = {CREDENTIAL}\nout['status']['token'] = json.dumps({found})\n"
          "print(json.dumps(out))")  # fmt: skip
    arguments, profile, info = json.loads((await plugin(folder, "./plugin", cluster, **spec).run()).token)
    return {"arguments": arguments, "profile": profile, **info}


async def test_what_a_plugin_is_told(tmp_path: Path, write: Write) -> None:
    found = await told(tmp_path, write, args=["get-token", 1], env=[{"name": "PROFILE", "value": "prod"}])
    assert found == {
        "arguments": ["get-token", "1"], "profile": "prod", "apiVersion": VERSION, "kind": "ExecCredential",
        "spec": {"interactive": False},
    }  # fmt: skip


async def test_a_plugin_is_told_about_its_cluster_where_it_asks_for_that(tmp_path: Path, write: Write) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    cluster = {
        "server": "https://192.0.2.1", "tls-server-name": "kube", "certificate-authority": "ca.crt",
        "extensions": [{"name": "other", "extension": 1}, {"name": EXTENSION, "extension": {"a": "b"}}],
    }  # fmt: skip
    found = await told(tmp_path, write, cluster, provideClusterInfo=True)
    pem = base64.b64encode(b"PEM").decode()
    assert found["spec"]["cluster"] == {
        "server": "https://192.0.2.1", "tls-server-name": "kube", "certificate-authority-data": pem,
        "config": {"a": "b"},
    }  # fmt: skip
    assert "cluster" not in (await told(tmp_path, write, cluster))["spec"]


def printing(**changed: Any) -> str:
    """Return the line that prints a credential with other fields."""
    return f"print({json.dumps({**CREDENTIAL, **changed})!r})"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("raise SystemExit(3)", "failed with exit code 3"),
        ("import sys; sys.exit('log in:\\n\\x1b[1maws sso')", "failed with exit code 1: log in: [1maws sso"),
        ("import os; os.kill(os.getpid(), 15)", "was ended by signal 15"),
        ("pass", "printed no ExecCredential: Input data was truncated"),
        ("print('{}x')", "printed no ExecCredential: JSON is malformed"),
        ("print('[]')", "printed no ExecCredential: Expected `object`, got `array`"),
        ("print('{}')", "printed an object of kind '', not ExecCredential"),
        (printing(apiVersion="v0"), f"printed apiVersion 'v0', the kubeconfig has '{VERSION}'"),
        (printing(status=None), "printed no status"),
        (printing(status={}), "printed neither a token nor a certificate with its key"),
        (printing(status={"token": 1}), "printed no ExecCredential: Expected `str`, got `int`"),
        (printing(status={"clientKeyData": "k"}), "printed only a certificate or a key, not both"),
        (printing(status={"expirationTimestamp": "x"}), "printed no ExecCredential: Invalid RFC3339"),
        ("print('x' * (2 << 20))", "printed more than 1048576 bytes"),
    ],
)  # fmt: skip
async def test_a_plugin_that_fails(tmp_path: Path, write: Write, program: str, problem: str) -> None:
    path = write("plugin", program)
    with pytest.raises(PluginError) as caught:
        await plugin(tmp_path, "./plugin").run()
    assert str(caught.value).startswith(f"exec: {path}: {problem}")


@pytest.mark.parametrize(
    ("mode", "first", "problem"),
    [
        (0o600, f"#!{sys.executable}", "cannot be run: permission denied; installHint: Install it from example.org"),
        (0o700, "\x7fELF no program", "cannot be run: exec format error; installHint: Install it from example.org"),
        (0o700, "#!/no/such/shell", "the interpreter in its first line does not exist"),
    ],
)
async def test_a_plugin_that_cannot_be_run(tmp_path: Path, write: Write, mode: int, first: str, problem: str) -> None:
    path = write("plugin", "", mode=mode, first=first)
    with pytest.raises(PluginError) as caught:
        await plugin(tmp_path, "./plugin", installHint="Install it\n  from example.org\n").run()
    assert str(caught.value) == f"exec: {path}: {problem}"


@pytest.mark.parametrize("command", ["./gone", "/no/such/gone", "gone-plugin"])
async def test_a_missing_plugin_is_named_with_its_hint(tmp_path: Path, command: str) -> None:
    with pytest.raises(PluginError, match=r"not found( in \$PATH)?; installHint: Run: x$") as caught:
        await plugin(tmp_path, command, installHint="\x1b\tRun:\n x").run()
    assert command.removeprefix("./") in str(caught.value)


async def test_a_plugin_that_hangs_is_ended_with_what_it_started(
    tmp_path: Path, write: Write, held_clock: HeldClock
) -> None:
    pids = tmp_path / "pids"
    path = write("plugin", f'sleep 600 & echo "$$ $!" > {pids}; wait', first="#!/bin/sh")
    running = asyncio.ensure_future(plugin(tmp_path, "./plugin").run())
    await until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    await held_clock.pass_seconds(PLUGIN_SECONDS)
    with pytest.raises(PluginError, match=f"^exec: {path}: did not end within 30 s$"):
        await running
    for pid in pids.read_text().split():
        await until(partial(_has_ended, pid))


def _has_ended(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(
    ("mode", "has_terminal", "is_interactive"),
    [("Never", True, False), ("IfAvailable", True, True), ("IfAvailable", False, False), ("Always", True, True),
     (None, True, True), (None, False, False)],
)  # fmt: skip
def test_a_plugin_may_ask_at_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str | None, has_terminal: bool, is_interactive: bool
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: has_terminal, raising=False)
    spec: dict[str, Any] = {} if mode is None else {"interactiveMode": mode}
    assert plugin(tmp_path, "plugin", **spec)._is_interactive is is_interactive


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"command": ""}, "exec: the kubeconfig names no command"),
        ({"command": ["plugin"]}, "exec: the kubeconfig names no command"),
        ({"apiVersion": None}, "exec: plugin: the kubeconfig names no apiVersion"),
        ({"interactiveMode": "Sometimes"}, "interactiveMode 'Sometimes' is not one of Never, IfAvailable, Always"),
        ({"interactiveMode": "Always"}, "needs a terminal"),
    ],
)
def test_mistakes_in_the_kubeconfig(tmp_path: Path, spec: dict[str, Any], problem: str) -> None:
    with pytest.raises(PluginError, match=problem):
        ExecPlugin({"apiVersion": VERSION, "command": "plugin", **spec}, {}, tmp_path)


@pytest.mark.parametrize(
    ("until", "has_expired"),
    [
        ("2001-01-01T00:00:00Z", True),
        ("2001-01-01T00:00:00.123456789+05:30", True),
        ("2999-01-01T00:00:00Z", False),
        (None, False),
    ],
)
async def test_credentials_expire_at_the_time_that_they_name(
    tmp_path: Path, write: Write, until: str | None, has_expired: bool
) -> None:
    made = {**CREDENTIAL, "status": {"token": "t", "expirationTimestamp": until}}
    write("plugin", f"print({json.dumps(made)!r})")
    assert (await plugin(tmp_path, "./plugin").run()).has_expired is has_expired
