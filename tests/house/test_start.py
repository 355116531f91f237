"""The budget of a start with kubeadm's Corefile: imported modules, CPU and memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

# The libraries take 37 MiB of it, aiohttp most; kubernetes_asyncio with its generated models would add 29 MiB.
MAX_RSS_MIB = 46
MAX_CPU_OF_LIBRARIES = 3.0  # relative to the libraries alone, because the speed and load of machines differ
MAX_MODULES = 620  # 382 of them are of libraries
MAX_MODULES_BEFORE_AN_ANSWER = 433
MAX_VERSION_CPU_SECONDS = 0.8

KUBEADM = Path(__file__).parents[1] / "corefiles" / "kubeadm" / "Corefile"
# A start up to the first answer, from a snapshot; it binds no port and sends nothing.
ANSWERING = f"""
from clusterdns.cli.serve import load_server
load_server()
from clusterdns.corefile.load import parse
from clusterdns.server.assembly import assemble
from clusterdns.telemetry.metrics import Registry
text = open({str(KUBEADM)!r}).read().replace("/etc/resolv.conf", "127.0.0.1")
assemble(parse(text, "Corefile", {{}}), Registry(), dns_port=53)
import clusterdns.cluster.snapshot.restoring, clusterdns.plugins.kubernetes.snapshot
"""
# The rest of it: the first scrape, and the first connection to the API server.
START = f"""{ANSWERING}
import asyncio
from clusterdns.host.imports import import_in_thread
for name in ("admin.listener", "admin.exposition", "cluster.api.credentials"):
    asyncio.run(import_in_thread(f"clusterdns.{{name}}"))
from clusterdns.cluster.api import credentials
credentials._client_library(reads_kubeconfig=False)
"""
LIBRARIES = """
from clusterdns.host.authorities import deferred_authorities
with deferred_authorities():
    import aiohttp.web, msgspec, prometheus_client, uvloop
"""
# Libraries that are imported in a thread while queries are answered.
AFTER_THE_FIRST_ANSWER = ("aiohttp", "kubernetes_asyncio", "prometheus_client", "yarl")
# Modules that other Corefiles or other commands need.
FORBIDDEN = (
    "clusterdns.cluster.manifests.source",
    "clusterdns.gotemplate",
    "clusterdns.plugins.dns64",
    "clusterdns.plugins.file",
    "clusterdns.plugins.log",
    "clusterdns.plugins.hosts",
    "clusterdns.plugins.loadbalance.weights",
    "clusterdns.plugins.log",
    "clusterdns.plugins.rewrite",
    "clusterdns.plugins.template",
    "click",
    "dns",
    "dnslib",
    "kubernetes_asyncio.client.models",
    "re2",
    "rich",
    "urllib3",
    "yaml",
)
MEASURE = """
import json, resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
cpu = used.ru_utime + used.ru_stime
# not ru_maxrss, which includes the process that this one was forked from
rss_mib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) / 1024
print(json.dumps({"modules": list(sys.modules), "cpu": cpu, "rss_mib": rss_mib}))
"""


def measure_after(statement: str) -> dict[str, object]:
    script = f"{statement}\n{MEASURE}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


@pytest.fixture(scope="module")
def modules() -> list[str]:
    """List the modules that a start with kubeadm's Corefile imports."""
    found = measure_after(START)["modules"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("name", FORBIDDEN)
def test_start_does_not_import(name: str, modules: list[str]) -> None:
    assert [one for one in modules if one == name or one.startswith(f"{name}.")] == []


def test_the_first_answer_needs_no_http() -> None:
    imported = measure_after(ANSWERING)["modules"]
    assert isinstance(imported, list)
    assert not set(AFTER_THE_FIRST_ANSWER) & set(imported)
    assert len(imported) <= MAX_MODULES_BEFORE_AN_ANSWER


def test_no_dataclass_is_defined_before_the_first_answer() -> None:
    """A dataclass takes a millisecond to define, a msgspec Struct a thirtieth of that."""
    found = f"""{ANSWERING}
import sys
modules = [module for name, module in sys.modules.items() if name.startswith("clusterdns")]
classes = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
slow = {{one.__name__ for one in classes if "__dataclass_fields__" in vars(one)}}
assert not slow, slow
"""
    assert measure_after(found)


def test_start_imports_few_modules(modules: list[str]) -> None:
    assert {"clusterdns.plugins.kubernetes", "kubernetes_asyncio.config.incluster_config"} <= set(modules)
    assert len(modules) <= MAX_MODULES


def test_start_stays_within_its_budget() -> None:
    tries = [(measure_after(START), measure_after(LIBRARIES)) for _ in range(3)]
    start, libraries = (min(float(str(one["cpu"])) for one in several) for several in zip(*tries, strict=True))
    assert start < MAX_CPU_OF_LIBRARIES * libraries
    assert min(float(str(one["rss_mib"])) for one, _ in tries) < MAX_RSS_MIB


def test_version_imports_no_library() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = measure_after("import clusterdns.cli")["modules"]
    assert isinstance(imported, list)
    assert not {"aiohttp", "kubernetes_asyncio", "uvloop", "yaml"} & set(imported)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < MAX_VERSION_CPU_SECONDS
