"""Shutdown: not ready at once, answering until the end, in time, with the expected exit code."""

import signal
import socket
import time

import pytest
from process.running import PORT, WEB, CorefileServer, Start

from testing.waiting import wait_for

# A busy machine needs some of it; to wait for a client that is idle would take 10 s of an admin listener's, or an hour.
MAX_END_SECONDS = 9.0

COREFILE = f"""
.:{PORT} {{
    bind HOST
    health HOST:8080 {{
        lameduck 1h
    }}
    ready HOST:8181
    kubernetes cluster.local {{
        manifests cluster
    }}
    prometheus HOST:9153
}}
"""
AT_ONCE = f".:{PORT} {{\n bind HOST\n ready HOST:8181\n timeouts {{\n read 1h\n idle 1h\n }}\n whoami\n}}\n"
WAITING = f"""
.:{PORT} {{
    bind HOST
    health HOST:8080
    ready HOST:8181
    kubernetes cluster.local {{
        endpoint http://HOST:6443
        startup_timeout 1h
    }}
}}
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_lameduck_period_answers_dns_and_is_not_ready(start: Start, number: signal.Signals) -> None:
    server = start(COREFILE).wait_serving()
    assert server.get(8181, "/ready").status == 200
    server.send_signal(number)
    wait_for(lambda: server.get(8181, "/ready").status != 200, "unreadiness")
    assert server.get(8181, "/ready").status == 503
    assert server.dig("+notcp", WEB, "A") == ["10.96.0.10"]
    assert server.dig("+tcp", WEB, "A") == ["10.96.0.10"]
    assert server.get(8080, "/health").status == 200
    assert server.get(9153, "/metrics").status == 200
    assert server.is_running
    assert f"[INFO] {number.name}: Shutting down servers then terminating" in server.out.splitlines()
    assert "[INFO] plugin/health: Going into lameduck mode for 1h0m0s" in server.out.splitlines()
    assert server.err == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_exits_after_the_lameduck_period(start: Start, number: signal.Signals) -> None:
    server = start(COREFILE.replace("1h", "1s")).wait_serving()
    asked_at = time.monotonic()
    assert ends_in_time(server, number) == 0
    assert time.monotonic() - asked_at >= 1
    assert server.err == ""


def ends_in_time(server: CorefileServer, number: signal.Signals = signal.SIGTERM) -> int:
    asked_at = time.monotonic()
    code = server.stop(number)
    assert time.monotonic() - asked_at < MAX_END_SECONDS
    return code


def test_server_without_lameduck_exits_at_once(start: Start) -> None:
    server = start(AT_ONCE).wait_serving()
    assert ends_in_time(server) == 0
    assert server.err == ""


def test_idle_connections_do_not_delay_the_exit(start: Start) -> None:
    server = start(AT_ONCE).wait_serving()
    with socket.create_connection((server.host, PORT)) as silent, socket.create_connection((server.host, PORT)) as half:
        half.sendall(b"\0\x40\0")
        with socket.create_connection((server.host, 8181)):
            assert ends_in_time(server) == 0
        assert silent.recv(1) == b""


def test_a_second_interrupt_does_not_wait(start: Start) -> None:
    server = start(COREFILE).wait_serving()
    server.send_signal(signal.SIGINT)
    wait_for(lambda: "lameduck" in server.out, "the first to be taken")
    assert ends_in_time(server, signal.SIGINT) == 2


def test_quit_does_not_wait_either(start: Start) -> None:
    server = start(COREFILE).wait_serving()
    assert ends_in_time(server, signal.SIGQUIT) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_a_start_that_waits_for_the_cluster(start: Start, number: signal.Signals) -> None:
    server = start(WAITING)
    wait_for(lambda: server.get(8080, "/health").status == 200, "the admin listener")
    wait_for(lambda: "refused" in server.get(8181, "/ready").text, "the reason")
    page = server.get(8181, "/ready")
    assert (page.status, page.text.splitlines()[0]) == (503, "kubernetes")
    assert ends_in_time(server, number) == 0
    assert "clusterdns-" not in server.out
    assert server.err == ""


def test_closed_standard_output_does_not_disturb_the_server(start: Start) -> None:
    server = start(
        COREFILE.replace("1h", "1s").replace("prometheus", "log\n prometheus"),
        launcher=["sh", "-c", 'exec "$@" > /dev/full', "sh"],
    )
    wait_for(lambda: server.get(8181, "/ready").status == 200, "readiness")
    assert server.dig(WEB, "A") == ["10.96.0.10"]
    assert server.stop() == 0
    assert server.err == ""


def test_the_pidfile_lives_as_long_as_the_server(start: Start) -> None:
    server = start(AT_ONCE, "-pidfile", "pid")
    path = server.folder / "pid"
    number = f"{server.pid}\n"
    wait_for(lambda: path.exists() and path.read_text() == number, "the process id in the pidfile")
    assert server.stop() == 0
    assert not path.exists()


def test_server_runs_without_a_pidfile_that_cannot_be_written(start: Start) -> None:
    server = start(AT_ONCE, "-pidfile", "no/such/folder/pid").wait_serving()
    wait_for(lambda: "[ERROR] cannot write the pidfile no/such/folder/pid:" in server.out, "a line about the pidfile")
    assert server.stop() == 0
    assert "cannot remove" not in server.out
