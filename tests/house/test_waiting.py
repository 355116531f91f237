"""Tests wait for conditions: no sleep, no time-out that a busy machine exceeds, no limit to the time that work takes.

`testing.waiting` and `fakes.held_clock` wait for a condition; the exceptions below have their reasons.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from house.test_source import ROOT, functions, short, tree_of

LEAST_SECONDS = 10.0  # of a time-out that only a failure meets
# function or method → the place of its time-out among the arguments; `timeout=` is one wherever it is
TIMEOUTS = {
    "wait_for": 1,
    "timeout": 0,
    "settimeout": 0,
    "join": 0,
    "create_connection": 1,
    "udp": 2,
    "tcp": 2,
    "tls": 2,
}
CLOCKS = {"monotonic", "perf_counter", "time"}  # of the machine; the time of a thread or process is not among them

# function → why it may
EXCEPTIONS = {
    "testing/controlplane/control_plane.py:_start_supervisor": "polls a file of another process",
    "testing/controlplane/supervisor.py:_wait_until_alone": "polls a lock of other processes",
    "testing/limits.py:_remove": "polls a control group, which empties when its last process has ended",
    "testing/process.py:ServerProcess.wait_until": "waits for a condition",
    "testing/silent_network.py:run": "connections are idle when they die",
    "testing/silent_network.py:until": "waits for a condition",
    "testing/upstream/server.py:UpstreamServer._close": "polls sockets",
    "testing/upstream/server.py:UpstreamServer._send_later": "an upstream that is slow, as a test asks",
    "testing/waiting.py:until": "waits for a condition",
    "testing/waiting.py:wait_for": "waits for a condition",
    "tests/fakes/audited.py:delays": "time that a test lets pass",
    "tests/cluster/api/test_follow.py:HeldWatch.reply": "polls a connection, whose end has no event",
    "tests/cluster/snapshot/killed_writer.py:kill_one": "a kill at any moment of a save",
    "tests/corefiles/both.py:_running": "polls a server that starts",
    "tests/deploy/pair.py:Side.ask": "a query that gets no reply; the reply is not needed",
    "tests/deploy/probes.py:main": "the pace of probes",
    "tests/deploy/test_image_contract.py:test_sigterm_drains_and_ends_with_0": "periods of pods",
    "tests/differential/resolving.py:ask": "a pause that the case asks for, until entries of real caches expire",
    "tests/fakes/held_clock.py:HeldClock.time": "fails a test that is stuck",
    "tests/fakes/seen.py:Seen.until": "waits for a condition",
    "tests/harness/test_scripted_upstream.py:test_connections_end_as_the_word_says": "silence",
    "tests/harness/test_scripted_upstream.py:test_dnspython_rejects_a_spoiled_reply": "silence",
    "tests/harness/test_zone_upstream.py:test_the_black_hole_never_answers": "silence",
    "tests/journeys/clients.py:until": "waits for a condition",
    "tests/process/test_ending.py:ends_in_time": "a server that waits for idle clients would take longer",
    "tests/process/test_ending.py:test_server_exits_after_the_lameduck_period": "not before; later is not measured",
    "tests/process/test_first_answers.py:ask": "a server that waits for the cluster would take longer",
    "tests/process/test_first_answers.py:first_reply": "a server that waits for the cluster would take longer",
    "tests/process/test_reload_load.py:Client.__init__": "the pace of queries",
    "tests/process/test_reload_load.py:test_a_silent_upstream_does_not_delay_the_exit": "the upstream's time is longer",
    "tests/server/test_reload_faults.py:Load._over_tcp": "the pace of queries",
    "tests/server/test_reload_faults.py:Load._over_udp": "the pace of queries",
    "tests/upstream/test_pool.py:FakeUpstream.ask": "the time of the event loop is held",
}

FILES = [path for folder in ("testing", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]


def number_of(node: ast.expr, constants: dict[str, float]) -> float | None:
    """Return the value of a number or of a constant of the module."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    return constants.get(node.id) if isinstance(node, ast.Name) else None


def constants_of(tree: ast.Module) -> dict[str, float]:
    return {
        target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, int | float)
    }


def called(node: ast.AST) -> str:
    """Return the name of the function or method that a node calls; empty for other nodes."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def timeouts(call: ast.Call) -> list[ast.expr]:
    """Return the arguments of a call that are time-outs."""
    position = TIMEOUTS.get(called(call))
    by_name = [one.value for one in call.keywords if one.arg in ("timeout", "timeout_seconds")]
    return by_name if position is None else [*call.args[position : position + 1], *by_name]


def depends_on_speed(node: ast.AST, constants: dict[str, float]) -> bool:
    """Return whether a call sleeps or has a short time-out, or an assertion reads a clock."""
    if isinstance(node, ast.Assert):
        return any(called(one) in CLOCKS for one in ast.walk(node.test))
    if not isinstance(node, ast.Call):
        return False
    if called(node) == "sleep" and node.args:
        return number_of(node.args[0], {}) != 0
    seconds = [number_of(one, constants) for one in timeouts(node)]
    return any(one is not None and 0 < one < LEAST_SECONDS for one in seconds)


def places(path: Path) -> Iterator[str]:
    """Find the functions whose outcome may depend on the speed of the machine."""
    tree = tree_of(path)
    constants = constants_of(tree)
    for name, function in functions(tree):
        if any(depends_on_speed(node, constants) for node in ast.walk(function)):
            yield f"{short(path)}:{name}"


def test_no_test_depends_on_the_speed_of_the_machine() -> None:
    assert {place for path in FILES for place in places(path)} == set(EXCEPTIONS)


def test_the_rule_finds_what_it_forbids(tmp_path: Path) -> None:
    lines = {
        "time.sleep(0.1)", "await asyncio.sleep(delay)", "await asyncio.wait_for(read(), 2)", "sock.settimeout(SOON)",
        "dns.query.udp(query, host, 5.0)", "assert time.monotonic() - began < 3", "run(command, timeout=5)",
    }  # fmt: skip
    allowed = {
        "await asyncio.sleep(0)", "sock.settimeout(0)", "sock.settimeout(30)", "assert time.thread_time() < 2",
        "await asyncio.wait_for(read(), LATE)", "began = time.monotonic()",
    }  # fmt: skip
    module = tmp_path / "test_it.py"
    for line in lines | allowed:
        module.write_text(f"SOON = 1.5\nLATE = 60\nasync def it() -> None:\n    {line}\n")
        assert bool(list(places(module))) == (line in lines), line
