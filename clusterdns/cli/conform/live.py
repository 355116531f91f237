"""The suite's objects in a cluster: made in namespaces of their own, and deleted whatever happens.

The namespaces have a random part in their names, and so have the networks of endpoints: several runs do not collide.
What the cluster cannot have, such as IPv6 or ServiceImports, is left out; the cases that need it are skipped with the
API server's reason. Objects are deleted with their namespaces: at the end, after an error, and at Ctrl-C or SIGTERM.
"""

import asyncio
import secrets
import shlex
import signal
import sys
import time
from http import HTTPStatus
from types import TracebackType

from clusterdns.cli.conform import fixtures
from clusterdns.cli.conform.case import Ask
from clusterdns.cli.conform.cases.naming import question_for
from clusterdns.cli.conform.exchange import NoReplyError, ServerAddress
from clusterdns.cli.conform.objects_api import ObjectsApi
from clusterdns.cli.conform.runner import Runner
from clusterdns.cli.conform.served import Manifest, ServedObjects, served
from clusterdns.cli.progress import ProgressLine
from clusterdns.cluster.api.errors import ApiError

LABELS = {"app.kubernetes.io/managed-by": "clusterdns-conform"}
MADE_SECONDS = 120.0
SERVED_SECONDS = 60.0  # until the DNS server knows the last objects
DELETED_SECONDS = 30.0  # until the cluster has deleted the namespaces
POLL_SECONDS = 0.25
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LAST, _LAST_SET = "last", "last-set"  # the Services whose names show that the server knows all
_UNSUPPORTED = (400, 404, 422)  # statuses for objects that a cluster cannot have
_LEFT_OUT = {"Service": _UNSUPPORTED, "EndpointSlice": _UNSUPPORTED, "ServiceImport": (403, *_UNSUPPORTED)}


class ClusterError(Exception):
    """A cluster in which the objects cannot be made; the text says why."""


class InterruptedRun(Exception):
    """A signal that ended the run, after the objects were deleted."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


class LiveObjects:
    """The objects of one run. Leaving the context deletes them."""

    def __init__(self, kubeconfig: str, context: str, zone: str, set_zone: str, line: ProgressLine) -> None:
        self._kubeconfig, self._context = kubeconfig, context
        self._zone, self._set_zone = zone, set_zone
        self._api = ObjectsApi(kubeconfig, context)
        self._namespaces: list[str] = []
        self._task: asyncio.Task[object] | None = None
        self._signal = 0
        self._line = line

    async def __aenter__(self) -> "LiveObjects":
        """Read the credentials, and take over the signals that end a program. Raises ClusterError."""
        try:
            await self._api.__aenter__()
        except ApiError as error:
            raise ClusterError(f"the cluster cannot be reached: {error}") from error
        self._task = asyncio.current_task()
        for one in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(one, self._interrupt, one)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Delete the namespaces, and report those that are left with the command that deletes them.

        Raises InterruptedRun where a signal has ended the run.
        """
        try:
            left = await self._delete()
            if left:
                print(f"clusterdns conform: not deleted: {left}; run: {self._kubectl()}", file=sys.stderr)
        except asyncio.CancelledError:
            print(f"clusterdns conform: deletion was interrupted; run: {self._kubectl()}", file=sys.stderr)
        finally:
            self._line.end()
            for one in SIGNALS:
                asyncio.get_running_loop().remove_signal_handler(one)
            await self._api.__aexit__(kind, error, trace)
        if self._signal:
            raise InterruptedRun(self._signal)

    def _interrupt(self, number: int) -> None:
        """End the run at a signal; a second one ends the deletion too."""
        assert self._task is not None
        self._signal = number
        self._task.cancel()

    def _kubectl(self) -> str:
        words = ["kubectl", "--kubeconfig", self._kubeconfig, *(["--context", self._context] if self._context else [])]
        return shlex.join([*words, "delete", "namespace", *self._namespaces])

    async def make(self, server: ServerAddress, timeout_seconds: float) -> ServedObjects:
        """Make the objects, and wait until the server knows them. Raises ClusterError and NoReplyError."""
        try:
            async with asyncio.timeout(MADE_SECONDS):
                objects = await self._make_all()
        except TimeoutError:
            raise ClusterError(f"the objects cannot be made within {MADE_SECONDS:g} s") from None
        await self._wait_served(objects, server, timeout_seconds)
        self._line.end()
        return objects

    async def _make_all(self) -> ServedObjects:
        """Make the objects, without those that the cluster cannot have. Raises ClusterError."""
        manifests = self._manifests()
        found: list[Manifest] = []
        missing: dict[tuple[str, str, str], str] = {}
        for number, one in enumerate(manifests):
            metadata = one["metadata"]
            self._line.show(f"{number} of {len(manifests)} objects made")
            if one["kind"] == "Namespace":
                self._namespaces.append(metadata["name"])  # before the request, whose response may get lost
            try:
                found.append(_complete(one, await self._create(_without_ips(one))))
            except ApiError as error:
                if error.status not in _LEFT_OUT.get(one["kind"], ()):
                    raise ClusterError(f"{one['kind']} {metadata['name']} cannot be made: {error}") from error
                found.append(one)
                missing[one["kind"], metadata.get("namespace", ""), metadata["name"]] = str(error)
        objects = served(found, self._zone, self._set_zone)
        for service in (*objects.services, *objects.imports):
            kind = "ServiceImport" if service.is_import else "Service"
            service.missing = missing.get((kind, service.namespace, service.name), "")
            if service.missing and not service.is_import:
                service.ips = ()  # those of the manifest
        if all(service.missing for service in objects.services):
            raise ClusterError(f"no Service can be made: {objects.services[0].missing}")
        objects.imports_missing = next((one.missing for one in objects.imports if one.missing), "")
        return objects

    async def _create(self, one: Manifest) -> Manifest:
        """Create an object; a dual-stack Service with one family where the cluster has one. Raises ApiError."""
        families = (one.get("spec") or {}).get("ipFamilies") or ()
        try:
            return await self._api.create(one)
        except ApiError as error:
            if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or len(families) < 2:
                raise
            for family in families:
                single = {**one["spec"], "ipFamilies": [family], "ipFamilyPolicy": "SingleStack"}
                try:
                    return await self._api.create({**one, "spec": single})
                except ApiError as other:
                    if other.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                        raise
            raise

    def _manifests(self) -> list[Manifest]:
        """Return the suite's objects with names and networks of this run."""
        namespace = f"{fixtures.NAMESPACE}-{secrets.token_hex(3)}"
        content = fixtures.text(self._zone, namespace)
        content = content.replace("198.18.0.", f"198.{18 + secrets.randbelow(2)}.{secrets.randbelow(256)}.")
        content = content.replace("2001:db8:18:", f"2001:db8:{secrets.randbits(16):x}:")
        manifests = fixtures.read(content)
        for one in manifests:
            one["metadata"].setdefault("labels", {}).update(LABELS)
        return manifests

    async def _wait_served(self, objects: ServedObjects, server: ServerAddress, timeout_seconds: float) -> None:
        """Wait until the names of the objects made last are answered; reports where they are not."""
        last = [one for one in objects.services if one.name in (_LAST, _LAST_SET) and not one.missing]
        asks = [question_for(objects, one) for one in last]
        runner = Runner(server, asks[0] if asks else Ask(f"{self._zone}.", "SOA"), timeout_seconds)
        if problem := await runner.reachable():
            raise NoReplyError(f"{server.text} cannot be asked: {problem}; does a DNS server listen there?")
        deadline = time.monotonic() + SERVED_SECONDS
        while asks and time.monotonic() < deadline:
            asks = [ask for ask in asks if not await runner.has_answer(ask)]
            if asks:
                self._line.show(f"waiting until {server.text} answers {asks[0].name}")
                await asyncio.sleep(POLL_SECONDS)
        if asks:
            late = f"{server.text} does not answer {asks[0].name} within {SERVED_SECONDS:g} s"
            hint = f"does it serve this cluster, and the zone {self._zone}?"
            print(f"clusterdns conform: {late}; {hint}", file=sys.stderr)

    async def _delete(self) -> str:
        """Delete the namespaces, and wait until they are gone; returns which are not, and why."""
        left: dict[str, str] = {}
        for name in self._namespaces:
            try:
                await self._api.delete_namespace(name)
            except ApiError as error:
                left[name] = str(error)
        deadline = time.monotonic() + DELETED_SECONDS
        going = [name for name in self._namespaces if name not in left]
        while going and time.monotonic() < deadline:
            try:
                going = [name for name in going if await self._api.find_namespace(name) is not None]
            except ApiError as error:
                left |= dict.fromkeys(going, str(error))
                break
            if going:
                self._line.show(f"deleting {', '.join(going)}")
                await asyncio.sleep(POLL_SECONDS)
        left |= {name: f"still there after {DELETED_SECONDS:g} s" for name in going if name not in left}
        return "; ".join(f"namespace {name}: {why}" for name, why in left.items())


def _without_ips(one: Manifest) -> Manifest:
    """Return a manifest whose cluster IPs the cluster chooses."""
    spec = one.get("spec") or {}
    if one["kind"] != "Service" or spec.get("clusterIP") in (None, "None"):
        return one
    return {**one, "spec": {name: value for name, value in spec.items() if name not in ("clusterIP", "clusterIPs")}}


def _complete(asked: Manifest, made: Manifest) -> Manifest:
    """Return an object as the cluster has made it; the families of addresses stay those that were asked for."""
    families = (asked.get("spec") or {}).get("ipFamilies")
    made = {"kind": asked["kind"], **made}
    return {**made, "spec": {**made["spec"], "ipFamilies": families}} if families else made
