"""The lines printed, compared with CoreDNS's: at the start, for queries, failures, reloads, signals, and at the end.

Placeholders replace durations, ports of clients and hashes. The tests name the lines that differ on purpose.
"""

import itertools
import re
import signal

import pytest
from deploy.pair import Side, both

COREFILE = """
.:1053 {
    bind HOST
    log
    errors
    health HOST:8080 {
        lameduck 1s
    }
    reload 2s 1s
    rewrite name old.test new.test
    hosts {
        192.0.2.1 new.test
        192.0.2.2 H.hosts.test
        fallthrough
    }
    template ANY ANY nocode.test {
        rcode SERVFAIL
    }
    acl dropped.test {
        drop
    }
    forward . UPSTREAM {
        max_fails 0
    }
    cache
}
a.zone.test:1053 10.in-addr.arpa:1053 _tcp.test:1053 1st.test:1053 {
    bind HOST
    log . "{combined} {common} {unknown} {>opcode} {/forward/upstream} {rcode}"
    whoami
}
quiet.test:1053 {
    bind HOST
    log . {
        class error
    }
    log denied.quiet.test {remote} {
        class denial
    }
    template ANY ANY {
        rcode NXDOMAIN
    }
}
nonext.test:1053 {
    bind HOST
    log
    errors
    hosts {
        192.0.2.3 here.nonext.test
        fallthrough
    }
}
b.test:FREE_PORT tls_zone.test:FREE_PORT {
    whoami
}
"""
QUESTIONS = """
h.hosts.test. A
h.hosts.test. AAAA do
H.Hosts.Test. TYPE65281 bare
www.example.org. A tcp
x.nxdomain.example.org. A
old.test. A
x.nocode.test. A
x.dropped.test. A bare
x.servfail.example.org. A
x.refused.example.org. MX
b.a.zone.test. A
b.a.zone.test. SRV tcp
1.10.in-addr.arpa. PTR do
x.quiet.test. A
denied.quiet.test. A
nothing.example.org. CNAME
x.nonext.test. A
"""
PLACEHOLDERS = (
    (r"\b\d+(\.\d+)?s( |$|\")", r"DURATION\2"),
    (r"127\.0\.0\.1:\d+", "CLIENT:PORT"),
    (r"= [0-9a-f]{128}$", "= HASH"),
)
ONLY_COREDNS = (r"maxprocs: ",)


def plain(side: Side) -> list[str]:
    """Return the lines with placeholders, without those that only CoreDNS has."""
    lines = [line for line in side.lines if not line.startswith(ONLY_COREDNS)]
    for (pattern, name), number in itertools.product(PLACEHOLDERS, range(len(lines))):
        lines[number] = re.sub(pattern, name, lines[number])
    return lines


def groups(lines: list[str]) -> list[list[str]]:
    """Group the lines by listener and sort the groups, because CoreDNS's listeners start in any order."""
    found: list[list[str]] = []
    for line in lines:
        where = line.rpartition(":")[2] if not line.startswith("Warning") else ""
        if found and (not where or found[-1][-1].startswith("Warning") or found[-1][-1].rpartition(":")[2] == where):
            found[-1].append(line)
        else:
            found.append([line])
    return sorted(found)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str]]:
    """Run both servers through queries, reloads, a failed reload and a signal, and return the lines of each."""
    wrong = COREFILE.replace("whoami", "nosuch", 1)
    with both(COREFILE, tmp_path_factory.mktemp("lines") / "pair") as sides:
        for side in sides:
            for words in QUESTIONS.strip().splitlines():
                side.ask(words)
        for side in sides:
            side.write(COREFILE + "more.test:FREE_PORT {\n    whoami\n}\n")
        for side in sides:
            side.wait_for_line(r"\[INFO\] Reloading complete")
            side.write(wrong)
        for side in sides:
            side.wait_for_line(r"\[ERROR\] plugin/reload: ")
            side.write(COREFILE)
        for side in sides:
            side.wait_for_line(r"\[INFO\] Reloading complete", 2)
            side.send_signal(signal.SIGUSR1)
        for side in sides:
            side.wait_for_line(r"\[INFO\] Reloading complete", 3)
        for side in sides:
            side.send_signal(signal.SIGTERM)
        assert [side.wait_ended() for side in sides] == [0, 0]
        theirs, ours = map(plain, sides)
    return theirs, ours


def first(lines: list[str], pattern: str) -> int:
    return next(number for number, line in enumerate(lines) if re.match(pattern, line))


def test_start_up(printed: tuple[list[str], list[str]]) -> None:
    zones = []
    for lines, banner in zip(printed, ("CoreDNS-", "clusterdns-"), strict=True):
        end = first(lines, r"\[")
        zones.append(groups(lines[:end]))
        assert lines[end] == "[INFO] plugin/reload: Running configuration SHA512 = HASH"
        assert lines[end + 1].startswith(banner)
        assert re.fullmatch(r"linux/\w+, (go|python)[\d.]+(, )?", lines[end + 2])
    theirs, ours = zones
    assert theirs == ours


def test_queries_and_failures(printed: tuple[list[str], list[str]]) -> None:
    theirs, ours = (lines[first(lines, "linux/") + 1 : first(lines, r"\[INFO\] Reloading$")] for lines in printed)
    assert len(ours) == 16, "the classes of quiet.test leave two queries out; one query fails, and `errors` logs it"
    assert sorted(theirs) == sorted(ours), "CoreDNS logs a query after its reply, so perhaps after the next one"


def test_reloads_signals_and_shutdown(printed: tuple[list[str], list[str]]) -> None:
    theirs, ours = (lines[first(lines, r"\[INFO\] Reloading$") :] for lines in printed)
    assert comparable(theirs) == comparable(ours)


def comparable(lines: list[str]) -> list[str]:
    """Leave out intended differences: our errors of a Corefile, and the hash, which we log after each reload."""
    cut = [re.sub(r"(Restart failed: |but reload failed).*", r"\1", line) for line in lines]
    cut = [line for line in cut if not re.match(r"\[ERROR\] Corefile:\d+: ", line)]
    again = first(cut, r"\[INFO\] SIGUSR1")
    return cut[:again] + [line for line in cut[again:] if "Running configuration" not in line]
