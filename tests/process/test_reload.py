"""Reload of a running server, by signal or by polling: it uses the changed Corefile, or stays as it was."""

import os
import re
import signal
from pathlib import Path

import pytest
from process.running import MANIFEST, PORT, WEB, CorefileServer, Start

from testing.waiting import wait_for

OTHER_PORT = PORT + 1
BLOCK = f"""
.:{PORT} {{
    bind HOST
    ready HOST:8181
    kubernetes cluster.local {{
        manifests cluster
    }}
    prometheus HOST:9153
}}
"""
OTHER_BLOCK = f"""
other.test:{OTHER_PORT} {{
    bind HOST
    whoami
}}
"""
BROKEN = BLOCK.replace("prometheus", "promethus")


def rewrite(server: CorefileServer, corefile: str) -> None:
    path = server.folder / "Corefile"
    fresh = path.with_suffix(".fresh")
    fresh.write_text(corefile.replace("HOST", server.host))
    fresh.replace(path)


def reload(
    server: CorefileServer, number: signal.Signals = signal.SIGHUP, *, outcome: str = "Reloading complete"
) -> None:
    """Send the signal to reload, and wait for the line that reports the outcome."""
    before = server.out.count(outcome)
    server.send_signal(number)
    wait_for(lambda: server.out.count(outcome) > before, outcome)


def reload_in_vain(server: CorefileServer) -> None:
    reload(server, outcome="Restart failed")


def enabled(server: CorefileServer) -> set[str]:
    return set(re.findall(r'plugin_enabled\{.*?name="(\w+)"', server.get(9153, "/metrics").text))


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_either_signal_reloads_without_the_directive(start: Start, number: signal.Signals) -> None:
    server = start(BLOCK).wait_serving()
    rewrite(server, BLOCK + OTHER_BLOCK)
    reload(server, number)
    wanted = [f"[INFO] {number.name}: Reloading", "[INFO] Reloading", "[INFO] Reloading complete"]
    assert [line for line in server.out.splitlines() if "Reloading" in line] == wanted
    assert "SHA512" not in server.out
    assert server.dig("-p", str(OTHER_PORT), "other.test", "SOA") == []
    assert server.dig(WEB, "A") == ["10.96.0.10"]


def test_blocks_are_added_removed_and_moved(start: Start) -> None:
    server = start(BLOCK + OTHER_BLOCK).wait_serving()
    assert enabled(server) == {"kubernetes", "prometheus"}
    rewrite(server, BLOCK.replace("prometheus", "errors\n prometheus"))
    reload(server)
    assert enabled(server) == {"errors", "kubernetes", "prometheus"}
    wait_for(lambda: answers_nothing(server, OTHER_PORT), "the removed block's port to close")
    rewrite(server, BLOCK.replace(f":{PORT}", f":{OTHER_PORT}"))
    reload(server)
    assert server.dig("-p", str(OTHER_PORT), WEB, "A") == ["10.96.0.10"]
    assert server.dig("-p", str(OTHER_PORT), "+tcp", WEB, "A") == ["10.96.0.10"]
    wait_for(lambda: answers_nothing(server, PORT), "the port that was left to close")
    assert server.stop() == 0
    assert server.err == ""


def answers_nothing(server: CorefileServer, port: int) -> bool:
    table = Path("/proc/net/udp").read_text() + Path("/proc/net/tcp").read_text()
    address = "".join(f"{int(part):02X}" for part in reversed(server.host.split(".")))
    return f" {address}:{port:04X} 00000000:0000" not in table


def test_a_reload_changes_the_objects_that_are_watched(start: Start) -> None:
    server = start(BLOCK).wait_serving()
    second = server.folder / "second"
    second.mkdir()
    (second / "web.yaml").write_text(MANIFEST.replace("10.96.0.10", "10.96.0.20"))
    rewrite(server, BLOCK.replace("manifests cluster", "manifests second\n ttl 30"))
    reload(server)
    assert server.dig(WEB, "A") == ["10.96.0.20"]
    (second / "web.yaml").write_text(MANIFEST.replace("10.96.0.10", "10.96.0.30"))
    wait_for(lambda: server.dig(WEB, "A") == ["10.96.0.30"], "the new source to be followed")
    rewrite(server, BLOCK.replace("manifests cluster", "manifests second\n ttl 40"))
    reload(server)
    assert server.out.count("objects of 1 manifest files") == 2, "an index that is read the same is kept"
    assert server.dig(WEB, "A", "+noshort", "+noall", "+answer")[0].split()[1] == "40"
    (second / "web.yaml").write_text(MANIFEST.replace("10.96.0.10", "10.96.0.40"))
    wait_for(lambda: server.dig(WEB, "A") == ["10.96.0.40"], "changes to be seen after a reload")


FAILURES = {
    "an unknown directive": (BROKEN, r"Corefile:8: Unknown directive 'promethus'; "),
    "no such manifests": (BLOCK.replace("manifests cluster", "manifests nowhere"), r"nowhere"),
    "an address that is not ours": (BLOCK.replace("bind HOST", "bind 192.0.2.77"), r"asked for by .*Corefile:2: "),
    "an admin port that is taken": (BLOCK.replace("9153", str(PORT)), r"Corefile:\d: prometheus: cannot listen on "),
    "no server block": ("# nothing\n", r"Corefile:1: this Corefile has no server block"),
}


def test_a_failed_reload_changes_nothing(start: Start) -> None:
    server = start(BLOCK).wait_serving()
    plugins = enabled(server)
    for count, (what, (corefile, text)) in enumerate(FAILURES.items(), 1):
        rewrite(server, corefile)
        reload_in_vain(server)
        last = server.out.rpartition("Restart failed: ")[2]
        assert re.search(text, last), what
        assert server.metric("coredns_reload_failed_total") == count
        assert server.get(8181, "/ready").text.startswith("OK\ncorefile: the changed Corefile has errors; ")
    assert server.dig("+notcp", WEB, "A") == ["10.96.0.10"]
    assert server.dig("+tcp", WEB, "A") == ["10.96.0.10"]
    assert enabled(server) == plugins
    rewrite(server, BLOCK)
    reload(server)
    assert server.get(8181, "/ready").text == "OK"
    assert server.err == ""


def test_a_configuration_that_is_less_ready_is_not_used(start: Start) -> None:
    server = start(BLOCK).wait_serving()
    api = "endpoint http://HOST:6443\n startup_timeout 300ms"
    rewrite(server, BLOCK.replace("manifests cluster", api))
    reload_in_vain(server)
    assert "Restart failed: kubernetes is not ready: " in server.out
    assert server.dig(WEB, "A") == ["10.96.0.10"]
    assert server.get(8181, "/ready").status == 200


def test_queries_are_answered_during_a_slow_reload_and_sigterm_ends_it(start: Start) -> None:
    server = start(BLOCK).wait_serving()
    api = "endpoint http://HOST:6443\n startup_timeout 1h"
    rewrite(server, BLOCK.replace("manifests cluster", api).replace("bind HOST", "bind HOST 127.0.0.1") + OTHER_BLOCK)
    server.send_signal(signal.SIGHUP)
    wait_for(lambda: "[WARNING] plugin/kubernetes:" in server.out, "the new configuration to start")
    assert server.dig("+notcp", WEB, "A") == ["10.96.0.10"]
    assert server.dig("+tcp", WEB, "A") == ["10.96.0.10"]
    assert server.stop() == 0
    assert "Reloading complete" not in server.out
    assert server.err == ""


def test_an_updated_configmap_is_reloaded_with_its_imports(start: Start) -> None:
    """As the kubelet does it: `Corefile` → `..data/Corefile`, and `..data` → another folder, renamed into place."""
    corefile = "import *.override\n" + BLOCK.replace("ready", "reload 2s 0s\n ready")
    server = start(BLOCK.replace("ready", "reload 2s 0s\n ready")).wait_serving()
    first = server.out.count("Reloading")
    assert (first, server.out.count("SHA512 = ")) == (0, 1)
    volume = server.folder / "volume"
    for name, override in (("..1", ""), ("..2", OTHER_BLOCK)):
        (volume / name).mkdir(parents=True)
        (volume / name / "Corefile").write_text(corefile.replace("HOST", server.host))
        (volume / name / "more.override").write_text(override.replace("HOST", server.host))
    swap(volume, "..1")
    for name in ("Corefile", "more.override"):
        (volume / name).symlink_to(Path("..data") / name)
    (server.folder / "more.override").symlink_to(Path("volume") / "more.override")  # not imported yet
    (server.folder / "fresh").symlink_to(Path("volume") / "Corefile")
    os.replace(server.folder / "fresh", server.folder / "Corefile")
    wait_for(lambda: "Reloading complete" in server.out, "the first mount to be read")
    swap(volume, "..2")
    wait_for(lambda: server.out.count("Reloading complete") == 2, "the swap to be seen")
    assert server.dig("-p", str(OTHER_PORT), "other.test", "SOA") == []
    hashes = re.findall(r"^\[INFO\] plugin/reload: Running configuration SHA512 = ([0-9a-f]{128})$", server.out, re.M)
    assert len(set(hashes)) == 3
    shown = re.findall(r'reload_version_info\{hash="sha512",value="(\w+)"\} 1', server.get(9153, "/metrics").text)
    assert shown == hashes[-1:]
    rewrite(server, BLOCK)
    reload(server)
    assert "reload_version_info{" not in server.get(9153, "/metrics").text


def swap(volume: Path, name: str) -> None:
    fresh = volume / "..data_tmp"
    fresh.symlink_to(name)
    os.replace(fresh, volume / "..data")


def test_a_restart_with_a_wrong_corefile_serves_the_last_good_one(start: Start) -> None:
    server = start(BLOCK, "-state", "state").wait_serving()
    (server.folder / "more").write_text(OTHER_BLOCK.replace("HOST", server.host))
    rewrite(server, "import more\n" + BLOCK)
    reload(server)
    state = server.folder / "state" / "last-good-corefile.json"
    wait_for(lambda: '/more"' in state.read_text(), "the import to be saved")
    assert server.stop() == 0
    rewrite(server, BROKEN)
    (server.folder / "more").unlink()
    server.start()
    server.wait_serving()
    assert f"[ERROR] {server.folder}/Corefile:8: Unknown directive 'promethus'; " in server.out
    assert "[ERROR] Serving the last good Corefile, saved at " in server.out
    assert server.dig("-p", str(OTHER_PORT), "other.test", "SOA") == []
    assert server.dig(WEB, "A") == ["10.96.0.10"]
    assert server.metric("clusterdns_corefile_is_last_good") == 1
    page = server.get(8181, "/ready")
    assert (page.status, page.text.splitlines()[0]) == (200, "OK")
    assert "Corefile:8: Unknown directive" in page.text
    rewrite(server, BLOCK)
    reload(server)
    assert server.metric("clusterdns_corefile_is_last_good") == 0
    assert server.get(8181, "/ready").text == "OK"


def test_a_state_folder_that_cannot_be_written_logs_a_warning(start: Start) -> None:
    server = start(BLOCK, "-state", "/proc/nowhere").wait_serving()
    assert "[WARNING] cannot save the last good configuration in /proc/nowhere: " in server.out
    assert server.dig(WEB, "A") == ["10.96.0.10"]
