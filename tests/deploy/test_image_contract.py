"""The contract of an image that replaces CoreDNS's: the Dockerfile's image, in a pod as kubelets make them.

Each test covers one line of the contract. Rates and sizes are those of the distributions' manifests. Where the machine
cannot make control groups, nothing is limited, and the tests check the process's peak alone.
"""

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from deploy.container import Container, Environment, SecurityContext, Volume, load, probe, running, upstream
from deploy.image import ROOT, Image, build
from journeys.journey import Bridge
from journeys.pod import network_namespace
from peers import need

from testing.controlplane import ControlPlane
from testing.limits import limited

CLUSTER_NAME, CLUSTER_ADDRESS = "kubernetes.default.svc.cluster.local.", "10.96.0.1"
HEALTH, READY = "http://127.0.0.1:8080/health", "http://127.0.0.1:8181/ready"
LIVENESS_DELAY_SECONDS = 60.0
STRICTEST_TIMEOUT_SECONDS = 1.0  # of probes: k3s, k0s, vcluster
PROBES = 30  # of each page
LAMEDUCK_SECONDS = 5.0  # of kubeadm's Corefile
GRACE_PERIOD_SECONDS = 30.0  # of pods, after which the kubelet sends SIGKILL

# The securityContext of each manifest, with the defaults of container engines where it has none.
ENGINE_DEFAULTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETPCAP", "NET_BIND_SERVICE")
MANIFESTS = {
    "kubeadm": SecurityContext(),  # drop ALL, add NET_BIND_SERVICE, allowPrivilegeEscalation: false
    "k3s": SecurityContext(),
    "k0s": SecurityContext(),  # and runAsNonRoot, which the image's numeric user satisfies
    "kops": SecurityContext(),
    "helm": SecurityContext(),
    "openshift": SecurityContext(ENGINE_DEFAULTS),  # no securityContext at all
    "openshift-any-user": SecurityContext(ENGINE_DEFAULTS, user=1_000_650_000),
}


def corefile(name: str) -> dict[str, str]:
    """Return the files of a ConfigMap with the Corefile of a distribution."""
    return {"Corefile": (ROOT / "tests" / "corefiles" / name / "Corefile").read_text(encoding="utf-8")}


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    for tool in ("bwrap", "setcap", "ip"):
        need(tool)
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def bare_environment(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """Prepare a pod without a cluster."""
    with network_namespace("image") as pod:
        environment = Environment(image, pod, tmp_path_factory.mktemp("bare"))
        with upstream(environment):
            yield environment


@pytest.fixture(scope="module")
def environment(
    image: Image, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Environment]:
    """Prepare a pod that reaches the API server with the rights of deploy/base/rbac.yaml."""
    folder = tmp_path_factory.mktemp("environment")
    for manifest in yaml.safe_load_all((ROOT / "deploy" / "base" / "rbac.yaml").read_text(encoding="utf-8")):
        control_plane.apply(manifest)
    files = {
        "token": control_plane.make_token("coredns", "kube-system"),
        "ca.crt": control_plane.ca.read_text(),
        "namespace": "kube-system",
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(network_namespace("contract"))
        bridge = Bridge(pod, folder, control_plane.url.removeprefix("https://"))
        stack.callback(bridge.down)
        bridge.up()
        environment = Environment(image, pod, folder, bridge, Volume(folder / "token", files))
        stack.enter_context(upstream(environment))
        yield environment


@pytest.fixture(scope="module")
def kubeadm(environment: Environment) -> Iterator[Container]:
    """Run a container with kubeadm's unchanged Corefile and memory limit."""
    with (
        limited(memory_mib=170) as limits,
        running(environment, corefile("kubeadm"), limits=limits) as container,
    ):
        container.wait_for(CLUSTER_NAME, CLUSTER_ADDRESS)
        yield container


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write dnsperf's questions: cluster names, external names, and names that do not exist."""
    path = tmp_path_factory.mktemp("questions") / "questions"
    names = (CLUSTER_NAME, CLUSTER_NAME, "www.example.org.", "1.0.96.10.in-addr.arpa.", f"no{CLUSTER_NAME}")
    path.write_text("".join(f"{name} {'PTR' if 'arpa' in name else 'A'}\n" for name in names))
    return path


def read_report(report: list[str]) -> tuple[float, int]:
    """Read queries per second and lost queries from dnsperf's report."""
    text = "\n".join(report)
    per_second = re.search(r"Queries per second:\s+([\d.]+)", text)
    lost = re.search(r"Queries lost:\s+(\d+)", text)
    assert per_second, text
    assert lost, text
    return float(per_second[1]), int(lost[1])


SMALL = {"Corefile": ".:53 {\n hosts {\n  192.0.2.1 here.test\n }\n}\n"}


@pytest.mark.parametrize("name", MANIFESTS)
def test_port_53_is_bound_with_the_rights_that_the_manifest_gives(bare_environment: Environment, name: str) -> None:
    context = MANIFESTS[name]
    with running(bare_environment, SMALL, context=context) as container:
        container.wait_for("here.test", "192.0.2.1")
        container.wait_for("here.test +tcp", "192.0.2.1")
        status = Path(f"/proc/{container.pid}/status").read_text()
        assert f"\nUid:\t{context.user}\t" in status
        assert "\nCapEff:\t0000000000000400\n" in status, "NET_BIND_SERVICE and nothing else"
        assert "\nNoNewPrivs:\t1\n" in status
        container.signal(signal.SIGTERM)
        assert container.process.wait_ended() == 0, container.process.out


def test_without_the_capability_the_program_is_not_executed(bare_environment: Environment) -> None:
    """CoreDNS's own image behaves the same: docs/decisions/0006."""
    with running(bare_environment, SMALL, context=SecurityContext(capabilities=())) as container:
        assert container.process.wait_ended() == 1
        assert "Operation not permitted" in container.process.out


def test_only_the_server_may_bind_low_ports(image: Image) -> None:
    """The interpreter that other programs use has no capability."""
    listed = subprocess.run([need("getcap"), "-r", str(image.local)], capture_output=True, text=True, check=True)
    path, _, held = listed.stdout.rstrip().rpartition(" ")
    assert (path, held) == (str(image.local / "bin" / "clusterdns-python"), "cap_net_bind_service=ep")


@pytest.mark.parametrize("arguments", [("--conf=/etc/coredns/Corefile",), ("--conf", "/etc/coredns/Corefile")])
def test_flags_in_each_form_that_manifests_use(bare_environment: Environment, arguments: tuple[str, ...]) -> None:
    with running(bare_environment, SMALL, arguments=arguments) as container:
        container.wait_for("here.test", "192.0.2.1")


def test_all_mounts_are_read_only(kubeadm: Container) -> None:
    """Except /proc and /dev, which the kernel provides."""
    mounts = [line.split() for line in Path(f"/proc/{kubeadm.pid}/mounts").read_text().splitlines()]
    of_the_kernel = ("/proc", "/dev")
    writable = [
        at for _, at, _, options, *_ in mounts if "rw" in options.split(",") and not at.startswith(of_the_kernel)
    ]
    assert writable == []


def test_cluster_and_external_names_over_udp_and_tcp(kubeadm: Container) -> None:
    for protocol in ("", "+tcp "):
        kubeadm.wait_for(f"{protocol}{CLUSTER_NAME}", CLUSTER_ADDRESS)
        kubeadm.wait_for(f"{protocol}www.example.org", "192.0.2.80")
        kubeadm.wait_for(f"{protocol}-x {CLUSTER_ADDRESS}", CLUSTER_NAME)


def test_ports_and_pages(kubeadm: Container) -> None:
    assert kubeadm.page(8080, "/health") == ("200", "OK")
    assert kubeadm.page(8181, "/ready") == ("200", "OK")
    status, metrics = kubeadm.page(9153, "/metrics")
    assert status == "200"
    assert 'coredns_dns_requests_total{family="1"' in metrics


def test_standard_output_has_the_lines_that_log_collectors_parse(kubeadm: Container) -> None:
    lines = kubeadm.process.out.splitlines()
    assert ".:53" in lines
    assert any(re.fullmatch(r"\[INFO\] plugin/reload: Running configuration SHA512 = [0-9a-f]{128}", x) for x in lines)


def test_probes_are_in_time_under_load(kubeadm: Container, questions: Path) -> None:
    with load(kubeadm, questions, 20_000) as report:
        found = probe(kubeadm, PROBES, STRICTEST_TIMEOUT_SECONDS, HEALTH, READY, counts_waiting=False)
        kubeadm.wait_for_queries(2_000)
    per_second, lost = read_report(report)
    print(f"{per_second:,.0f} queries/s, {lost} lost; {found}; peak {kubeadm.peak_mib():.0f} MiB")
    assert [(one.count, one.failures) for one in found] == [(PROBES, []), (PROBES, [])]
    assert lost == 0


def test_memory_stays_within_kubeadm_s_limit(kubeadm: Container) -> None:
    assert kubeadm.peak_mib() < 170
    assert kubeadm.process.is_running, "killed for memory"


def test_sigterm_drains_and_ends_with_0(kubeadm: Container, questions: Path) -> None:
    """No query is lost in the lameduck period. This test ends the container, so it is the last that uses it."""
    with load(kubeadm, questions, 1_000) as report:
        began = time.monotonic()
        kubeadm.signal(signal.SIGTERM)
        kubeadm.wait_for_line("[INFO] plugin/health: Going into lameduck mode for 5s")
        kubeadm.wait_for_queries(1_000)
    _, lost = read_report(report)
    assert lost == 0
    assert kubeadm.process.wait_ended() == 0, kubeadm.process.out
    assert LAMEDUCK_SECONDS <= time.monotonic() - began < GRACE_PERIOD_SECONDS


def test_the_chart_s_limits_of_a_tenth_of_a_core_and_128_mib(environment: Environment, questions: Path) -> None:
    with (
        limited(memory_mib=128, cores=0.1) as limits,
        running(environment, corefile("helm"), limits=limits) as container,
    ):
        first_seconds = container.wait_for(CLUSTER_NAME, CLUSTER_ADDRESS, LIVENESS_DELAY_SECONDS)
        with load(container, questions, 1_000, late_seconds=5) as report:
            found = probe(container, PROBES, STRICTEST_TIMEOUT_SECONDS, HEALTH, READY, counts_waiting=True)
        per_second, lost = read_report(report)
        print(
            f"first answer after {first_seconds:.1f} s; {per_second:,.0f} queries/s, {lost} lost; {found}; "
            f"peak {container.peak_mib():.0f} MiB; limits held: {limits.holds_memory}, {limits.holds_cpu}"
        )
        assert [one.failures for one in found] == [[], []]
        assert container.peak_mib() < 128


def test_a_replaced_configmap_is_loaded(environment: Environment) -> None:
    text = "import custom/*.server\n.:53 {\n reload 2s 1s\n hosts /etc/coredns/NodeHosts {\n  reload 1s\n }\n%s}\n"
    files = {"Corefile": text % "", "NodeHosts": "192.0.2.1 node-1.test\n"}
    with running(environment, files) as container:
        container.wait_for("node-1.test", "192.0.2.1")
        container.config.replace(files | {"NodeHosts": "192.0.2.2 node-1.test\n"})
        container.wait_for("node-1.test", "192.0.2.2")
        container.config.replace(files | {"Corefile": text % " erors\n"})
        container.wait_for_line("Corefile:7: Unknown directive 'erors'")
        container.config.replace(files | {"Corefile": text % " local\n"})
        container.wait_for_line("[INFO] Reloading complete")
        container.wait_for("localhost", "127.0.0.1")
        container.signal(signal.SIGTERM)
        assert container.process.wait_ended() == 0, container.process.out
