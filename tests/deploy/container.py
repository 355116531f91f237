"""A container as a kubelet starts it: the image's file system, a pod's network, a ConfigMap, a token, limits, a user.

bubblewrap gives it its own mounts and processes (the program is process 1) and nothing writable; `runtime` plays the
OCI runtime inside; the network is a namespace of `journeys.pod`, from which `journeys.journey.Bridge` reaches the API.
"""

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.image import Image
from journeys.journey import Bridge
from journeys.pod import Pod, network_namespace
from peers import need

from deploy import probes, runtime
from testing.limits import Limits
from testing.peers import clusterdns
from testing.process import ServerProcess

IMAGE_USER = 65532
PROGRAM = "/usr/local/bin/coredns"
DEFAULT_ARGUMENTS = ("-conf", "/etc/coredns/Corefile")
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
UPSTREAM = "10.244.0.53"
METRICS_PORT = 9153
WAIT_SECONDS = 60.0
MAX_LOAD_SECONDS = 600
LATE_SECONDS = 60
# enters the control groups whose `cgroup.procs` come before `--`, and executes the arguments after it
_ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1"; shift; done; shift; exec "$@"'

_numbers = itertools.count(1)


@dataclass(frozen=True)
class SecurityContext:
    """A container's capabilities and user, after the engine's defaults are applied.

    There is no `allowPrivilegeEscalation`: bubblewrap always forbids it, which is the stricter case.
    """

    capabilities: tuple[str, ...] = ("NET_BIND_SERVICE",)
    user: int = IMAGE_USER


class Volume:
    """The volume of a ConfigMap or a token: files are links into `..data`, a link that is replaced as a whole."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.replace(files)
        for name in files:
            (folder / name).symlink_to(f"..data/{name}")

    def replace(self, files: dict[str, str]) -> None:
        """Replace the content in one step, as the kubelet does."""
        version = self.folder / f"..version-{next(_numbers)}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.folder / "..data")
        for old in self.folder.glob("..version-*"):
            if old != version:
                shutil.rmtree(old)


@dataclass
class Environment:
    """The image, the pod's network, the token and the /etc/resolv.conf of containers."""

    image: Image
    pod: Pod
    folder: Path
    bridge: Bridge | None = None
    token: Volume | None = None


@dataclass
class Container:
    """One container, from its start to its end."""

    environment: Environment
    config: Volume
    process: ServerProcess  # bubblewrap
    limits: Limits = field(default_factory=Limits)

    @property
    def pid(self) -> int:
        """The process id of the program, outside its own namespace."""
        return self.process.child()

    def peak_mib(self) -> float:
        """Return the peak RSS of the program."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (kib,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return int(kib) / 1024

    def dig(self, *words: str) -> list[str]:
        """Run dig in short form, with one try of a second, and return its lines."""
        printed = self.environment.pod.run(need("dig"), "@127.0.0.1", "+short", "+tries=1", "+time=1", *words)
        return [line for line in printed.splitlines() if not line.startswith(";")]

    def wait_for(self, words: str, answer: str, seconds: float = WAIT_SECONDS) -> float:
        """Ask until the answer is right, and return the seconds. Raises ServerFailed after `seconds`."""
        began = time.monotonic()
        self.process.wait_until(lambda: self.dig(*words.split()) == [answer], f"answer {answer} to {words}", seconds)
        return time.monotonic() - began

    def wait_for_line(self, text: str, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the program has printed a text."""
        self.process.wait_until(lambda: text in self.process.out, f"line {text!r}", seconds)

    def page(self, port: int, path: str) -> tuple[str, str]:
        """Fetch a page of the program, and return its status and body."""
        return self.environment.pod.http(port, path)

    def wait_for_queries(self, count: int) -> None:
        """Wait until the program has answered so many more queries; its Corefile has `prometheus`."""
        before = self._answered()
        self.process.wait_until(lambda: self._answered() >= before + count, f"{count} answers", WAIT_SECONDS)

    def _answered(self) -> float:
        lines = self.page(METRICS_PORT, "/metrics")[1].splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("coredns_dns_requests_total{"))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)


@contextlib.contextmanager
def running(
    environment: Environment,
    files: dict[str, str],
    *,
    context: SecurityContext | None = None,
    limits: Limits | None = None,
    arguments: Sequence[str] = DEFAULT_ARGUMENTS,
) -> Iterator[Container]:
    """Start a container with a ConfigMap of these files, and kill it on exit if it still runs."""
    context, limits = context or SecurityContext(), limits or Limits()
    folder = environment.folder / f"container-{next(_numbers)}"
    config = Volume(folder / "config", files)
    inside = [str(context.user), ",".join(context.capabilities), PROGRAM, *arguments]
    enter = ["/bin/sh", "-c", _ENTER, "sh", *limits.entrances, "--"]
    command = [
        *enter,
        *environment.pod.command(*_sandbox(environment, config), "/usr/local/bin/python3", "-I", "/runtime.py"),
    ]
    process = ServerProcess("the container", [*command, *inside], folder / "log")
    container = Container(environment, config, process, limits)
    try:
        yield container
    finally:
        if process.is_running:
            with contextlib.suppress(ValueError, ProcessLookupError):  # no child yet, or it has ended
                container.signal(signal.SIGKILL)
        process.kill()


def _sandbox(environment: Environment, config: Volume) -> list[str]:
    variables = {
        "PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    words = [
        need("bwrap"),
        *environment.image.mounts,
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--unshare-pid",
        "--as-pid-1",
    ]
    words += ["--die-with-parent", "--ro-bind", str(config.folder), "/etc/coredns"]
    words += ["--ro-bind", str(environment.folder / "resolv.conf"), "/etc/resolv.conf"]
    words += ["--ro-bind", runtime.__file__, "/runtime.py"]
    if environment.token is not None and environment.bridge is not None:
        host, _, port = environment.bridge.api_address.rpartition(":")
        variables |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        for folder in reversed(Path(TOKEN_FOLDER).parents[:-1]):
            words += ["--perms", "0755", "--dir", str(folder)]
        words += ["--ro-bind", str(environment.token.folder), TOKEN_FOLDER]
    for name, value in variables.items():
        words += ["--setenv", name, value]
    return [*words, "--remount-ro", "/", "--chdir", "/"]


@contextlib.contextmanager
def upstream(environment: Environment) -> Iterator[None]:
    """Run a resolver in another namespace that resolves www.example.org, and name it in the pod's resolv.conf."""
    (environment.folder / "resolv.conf").write_text(f"nameserver {UPSTREAM}\n")
    corefile = environment.folder / "upstream"
    corefile.write_text(".:53 {\n hosts {\n  192.0.2.80 www.example.org\n }\n}\n")
    ip = need("ip")
    with network_namespace("upstream") as elsewhere:
        here, there = environment.pod.namespace, elsewhere.namespace
        for words in (
            f"link add eth0 netns {here} type veth peer name eth0 netns {there}",
            f"-n {here} addr add 10.244.0.2/24 dev eth0",
            f"-n {there} addr add {UPSTREAM}/24 dev eth0",
            f"-n {here} link set eth0 up",
            f"-n {there} link set eth0 up",
        ):
            subprocess.run([ip, *words.split()], check=True, capture_output=True)
        command = elsewhere.command(str(clusterdns()), "-conf", str(corefile))
        asking = (need("dig"), f"@{UPSTREAM}", "+short", "+tries=1", "+time=1", "www.example.org")
        with ServerProcess("the upstream", command, environment.folder / "upstream.log") as server:
            server.wait_until(lambda: "192.0.2.80" in environment.pod.run(*asking), "answer", WAIT_SECONDS)
            yield


@dataclass(frozen=True)
class ProbeResult:
    """The number of probes of one page, their failures and the longest of them."""

    count: int
    failures: list[str]
    longest_seconds: float


@contextlib.contextmanager
def load(
    container: Container, questions: Path, per_second: int, late_seconds: int = LATE_SECONDS
) -> Iterator[list[str]]:
    """Run dnsperf at a rate, or as fast as the machine can, within this context; queries are answered as it begins.

    dnsperf's report is in the yielded list after the context. A query without a reply for `late_seconds` is lost.
    """
    report: list[str] = []
    words = ["-s", "127.0.0.1", "-d", str(questions), "-Q", str(per_second)]
    words += ["-l", str(MAX_LOAD_SECONDS), "-t", str(late_seconds), "-c", "16", "-q", "200"]
    process = subprocess.Popen(
        container.environment.pod.command(need("dnsperf"), *words),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        container.wait_for_queries(per_second // 10)
        yield report
        process.send_signal(signal.SIGINT)  # it prints its report
        report += process.communicate(timeout=2 * LATE_SECONDS)[0].splitlines()
    finally:
        process.kill()
        process.wait()


def probe(
    container: Container, count: int, timeout_seconds: float, *urls: str, counts_waiting: bool
) -> list[ProbeResult]:
    """Probe pages, each this many times; `counts_waiting` counts the time without a core that others have."""
    pid = 0 if counts_waiting else container.pid
    words = (sys.executable, "-I", probes.__file__, str(count), str(timeout_seconds), str(pid), *urls)
    found = json.loads(container.environment.pod.run(*words))
    return [ProbeResult(**found[url]) for url in urls]
