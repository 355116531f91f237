"""Exec plugins of kubeconfigs: programs that print credentials, run by the rules of client-go.

A command with a slash is relative to the folder of the kubeconfig, any other is looked up in $PATH. The plugin learns
from $KUBERNETES_EXEC_INFO whether it may ask its user, and about the cluster where `provideClusterInfo` is set. What it
prints is valid until the time that it names, or until the API server refuses it.

`credentials` puts what a plugin prints in the place of the user's `exec` entry. The API group is
client.authentication.k8s.io.
"""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

PLUGIN_SECONDS = 30.0  # how long a plugin may run
EXTENSION = "client.authentication.k8s.io/exec"  # of a cluster: settings for the plugin
MODES = ("Never", "IfAvailable", "Always")
_MAX_OUTPUT_BYTES = 1 << 20
_KEPT_ERROR_BYTES = 4096
_CLUSTER_FIELDS = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression")


class PluginError(Exception):
    """A plugin without usable credentials; the text names the command and says why."""


class PluginStatus(msgspec.Struct, rename="camel"):
    """The credentials that a plugin printed: a token, a certificate with its key, or both."""

    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None

    @property
    def has_expired(self) -> bool:
        """Return whether the time that the plugin named has come."""
        until = self.expiration_timestamp
        if until is None:
            return False
        return (until if until.tzinfo else until.replace(tzinfo=UTC)) <= datetime.now(UTC)

    def user_entries(self) -> dict[str, str]:
        """Make the entries of a kubeconfig's user that hold these credentials."""
        entries = {"token": self.token} if self.token else {}
        if self.client_certificate_data:
            for key, pem in (("certificate", self.client_certificate_data), ("key", self.client_key_data)):
                entries[f"client-{key}-data"] = base64.b64encode(pem.encode()).decode()
        return entries


class _ExecCredential(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: PluginStatus | None = None


class ExecPlugin:
    """The plugin of one user of a kubeconfig."""

    def __init__(self, spec: Mapping[str, Any], cluster: Mapping[str, Any], folder: Path) -> None:
        """`spec` is the user's `exec` entry; the folder is the kubeconfig's. Raises PluginError."""
        self._spec = spec
        self._cluster = cluster
        self._folder = folder
        command = spec.get("command")
        if not isinstance(command, str) or not command:
            raise PluginError("exec: the kubeconfig names no command")
        self._command = str(folder / command) if "/" in command else command
        self._version = spec.get("apiVersion")
        if not isinstance(self._version, str) or not self._version:
            raise PluginError(f"exec: {command}: the kubeconfig names no apiVersion")
        self._is_interactive = self._may_ask()

    async def run(self) -> PluginStatus:
        """Run the plugin and return its credentials. Raises PluginError."""
        output = await self._output()
        try:
            found = msgspec.json.decode(output, type=_ExecCredential)
        except msgspec.MsgspecError as problem:
            raise self._error(f"printed no ExecCredential: {problem}") from problem
        if found.kind != "ExecCredential":
            raise self._error(f"printed an object of kind '{found.kind}', not ExecCredential")
        if found.api_version != self._version:
            raise self._error(f"printed apiVersion '{found.api_version}', the kubeconfig has '{self._version}'")
        status = found.status
        if status is None:
            raise self._error("printed no status")
        if bool(status.client_certificate_data) != bool(status.client_key_data):
            raise self._error("printed only a certificate or a key, not both")
        if not status.token and not status.client_key_data:
            raise self._error("printed neither a token nor a certificate with its key")
        return status

    async def _output(self) -> bytes:
        process = await self._start()
        code: int | None = None
        try:
            async with asyncio.timeout(PLUGIN_SECONDS):
                output, errors = await asyncio.gather(_read_output(process.stdout), _read_errors(process.stderr))
                code = await process.wait()
        except TimeoutError:
            raise self._error(f"did not end within {PLUGIN_SECONDS:g} s") from None
        finally:
            if code is None:
                await self._end(process)
        if code:
            how = f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"
            raise self._error(f"{how}: {errors}" if errors else how)
        if len(output) > _MAX_OUTPUT_BYTES:
            raise self._error(f"printed more than {_MAX_OUTPUT_BYTES} bytes")
        return output

    async def _start(self) -> asyncio.subprocess.Process:
        path = self._path()
        try:
            return await asyncio.create_subprocess_exec(
                path,
                *map(str, self._spec.get("args") or ()),
                env=self._environment(),
                stdin=None if self._is_interactive else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=None if self._is_interactive else asyncio.subprocess.PIPE,
                start_new_session=not self._is_interactive,  # so that what it has started can be ended with it
            )
        except FileNotFoundError:  # the program exists
            raise self._error("the interpreter in its first line does not exist") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "") or str(error)
            raise self._error(f"cannot be run: {reason.lower()}{self._hint()}") from error

    def _path(self) -> str:
        """Return the file to run. Raises PluginError where there is none."""
        has_slash = "/" in self._command
        path = self._command if has_slash else shutil.which(self._command)
        if path is None or not os.path.exists(path):
            raise self._error(f"not found{'' if has_slash else ' in $PATH'}{self._hint()}")
        return path

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """End the plugin, and what it has started where it cannot have asked its user."""
        if not self._is_interactive:
            with contextlib.suppress(ProcessLookupError):  # nothing of it is left
                os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
        await process.communicate()  # unlike `wait` it reads the pipes, without whose ends there is no end

    def _environment(self) -> dict[str, str]:
        added = {str(one["name"]): str(one["value"]) for one in self._spec.get("env") or ()}
        spec: dict[str, Any] = {"interactive": self._is_interactive}
        if self._spec.get("provideClusterInfo"):
            spec["cluster"] = self._cluster_info()
        info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}
        return {**os.environ, **added, "KUBERNETES_EXEC_INFO": json.dumps(info)}

    def _cluster_info(self) -> dict[str, Any]:
        info = {name: self._cluster[name] for name in _CLUSTER_FIELDS if self._cluster.get(name)}
        authorities, file = (self._cluster.get(f"certificate-authority{end}") for end in ("-data", ""))
        if not authorities and file:
            try:
                authorities = base64.b64encode((self._folder / file).read_bytes()).decode()
            except OSError as error:
                raise self._error(f"cannot read certificate-authority {file}: {error.strerror}") from error
        if authorities:
            info["certificate-authority-data"] = authorities
        for one in self._cluster.get("extensions") or ():
            if one.get("name") == EXTENSION:
                info["config"] = one.get("extension")
        return info

    def _may_ask(self) -> bool:
        """Return whether the plugin may ask its user, which takes a terminal. Raises PluginError."""
        mode = self._spec.get("interactiveMode") or "IfAvailable"
        if mode not in MODES:
            raise self._error(f"interactiveMode '{mode}' is not one of {', '.join(MODES)}")
        has_terminal = mode != "Never" and sys.stdin is not None and sys.stdin.isatty()
        if mode == "Always" and not has_terminal:
            raise self._error("needs a terminal (interactiveMode Always), and standard input is not one")
        return has_terminal

    def _hint(self) -> str:
        """Return the `installHint`, on one line and without control characters."""
        text = "".join(one if one.isprintable() else " " for one in str(self._spec.get("installHint") or ""))
        return f"; installHint: {' '.join(text.split())}" if text.strip() else ""

    def _error(self, problem: str) -> PluginError:
        return PluginError(f"exec: {self._command}: {problem}")


async def _read_output(stream: asyncio.StreamReader | None) -> bytes:
    """Read to the end and return the output, or a byte more than the greatest."""
    kept = b""
    while stream is not None and (part := await stream.read(1 << 16)):
        kept = (kept + part)[: _MAX_OUTPUT_BYTES + 1]
    return kept


async def _read_errors(stream: asyncio.StreamReader | None) -> str:
    """Read to the end and return the last bytes as one line."""
    kept = b""
    while stream is not None and (part := await stream.read(1 << 16)):
        kept = (kept + part)[-_KEPT_ERROR_BYTES:]
    text = kept.decode(errors="replace")
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
