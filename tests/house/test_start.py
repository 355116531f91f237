"""Starting stays light: what is imported on the way up, and what that costs."""

import json
import resource
import subprocess
import sys

# CPython alone takes 9 MiB, aiohttp 33, and kubernetes_asyncio with its generated models 71.
MAX_RSS_MIB = 60
MAX_CPU_SECONDS = 0.8  # 0.35 s on an idle machine; the margin is for a busy one

SERVER = """
import clusterdns.cli, clusterdns.server.run, clusterdns.server.assembly
from clusterdns.cluster.api import credentials
credentials._client_library()  # what the first connection to an API server imports
"""
FACTS = """
import json, resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
cpu = used.ru_utime + used.ru_stime
# not ru_maxrss: that also remembers the process this one was forked from
rss_mib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM:")) / 1024
print(json.dumps({"modules": list(sys.modules), "cpu": cpu, "rss_mib": rss_mib}))
"""


def facts_after(statement: str) -> dict[str, object]:
    script = f"{statement}\n{FACTS}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


def test_server_comes_up_without_the_generated_models() -> None:
    modules = facts_after(SERVER)["modules"]
    assert isinstance(modules, list)
    assert any(name.startswith("kubernetes_asyncio.config") for name in modules)
    assert [name for name in modules if name.startswith("kubernetes_asyncio.client.models.")] == []


def test_server_comes_up_within_its_budget() -> None:
    tries = [facts_after(SERVER) for _ in range(3)]
    assert min(float(str(one["cpu"])) for one in tries) < MAX_CPU_SECONDS
    assert min(float(str(one["rss_mib"])) for one in tries) < MAX_RSS_MIB


def test_a_question_about_the_version_loads_no_library() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    modules = facts_after("import clusterdns.cli")["modules"]
    assert isinstance(modules, list)
    assert not {"aiohttp", "kubernetes_asyncio", "uvloop", "yaml"} & set(modules)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < MAX_CPU_SECONDS
