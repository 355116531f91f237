"""The clients of the journeys: dig, nslookup of bind9-dnsutils and of busybox, and the C library's resolver.

Each function runs the real program in a pod and parses its output.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from journeys.pod import Pod
from peers import need

T = TypeVar("T")

_HEADER = re.compile(r"status: (\w+), id:")
_FLAGS = re.compile(r";; flags: ([a-z ]*);")
_SERVER = re.compile(r";; SERVER: ([^#]+)#53\([^)]*\) \((\w+)\)")


@dataclass(frozen=True)
class Answer:
    """A reply as dig prints it. A record is (owner name, type, data), names without their last dot."""

    status: str
    flags: frozenset[str]
    records: tuple[tuple[str, str, str], ...]
    has_edns: bool
    server: str
    transport: str

    @property
    def data(self) -> list[str]:
        """The data of the answer section's records, in order."""
        return [data for _, _, data in self.records]

    @property
    def owner_names(self) -> set[str]:
        """The owner names of the records."""
        return {owner for owner, _, _ in self.records}


def dig(pod: Pod, *words: str) -> Answer:
    """Ask one question; with `+search` dig uses the search list. Raises ValueError without a reply."""
    (answer,) = dig_all(pod, *words)
    return answer


def dig_all(pod: Pod, *words: str) -> list[Answer]:
    """Ask several questions with one dig, and return the replies in order.

    dig sends no cookie here: with one no two queries are equal, and none gets a compiled answer.
    """
    printed = pod.run(need("dig"), "+tries=1", "+time=30", "+nocookie", *words)
    replies = [_read(part) for part in printed.split(";; ->>HEADER<<-")[1:]]
    if not replies or "no servers could be reached" in printed or ";; Warning" in printed:
        raise ValueError(f"dig {' '.join(words)}: {printed}")
    return replies


def _read(printed: str) -> Answer:
    status, flags, server = _HEADER.search(printed), _FLAGS.search(printed), _SERVER.search(printed)
    if status is None or flags is None or server is None:
        raise ValueError(f"not the output of dig: {printed}")
    section = printed.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
    lines = [line.split(None, 4) for line in section.splitlines()]
    records = tuple((owner.rstrip("."), rtype, _undotted(data)) for owner, _, _, rtype, data in lines)
    return Answer(status[1], frozenset(flags[1].split()), records, "OPT PSEUDOSECTION" in printed, server[1], server[2])


def _undotted(data: str) -> str:
    return data[:-1] if data.endswith(".") else data


def nslookup(pod: Pod, *words: str) -> dict[str, set[str]]:
    """Run bind9's nslookup: name → addresses, for an address its reverse name → names; empty if it finds nothing."""
    return _lookups(pod.run(need("nslookup"), *words))


def busybox_nslookup(pod: Pod, *words: str) -> dict[str, set[str]]:
    """Run busybox's nslookup, with the result of `nslookup`."""
    return _lookups(pod.run(need("busybox"), "nslookup", *words))


def _lookups(printed: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    name = ""
    for line in printed.splitlines():
        if line.startswith("Name:"):
            name = line.split()[-1].rstrip(".")
        elif line.startswith("Address") and name:
            found.setdefault(name, set()).add(line.split(": ")[-1].strip())
        elif "name = " in line:
            owner, _, target = line.partition("name = ")
            found.setdefault(owner.strip(), set()).add(target.strip().rstrip("."))
    return found


def getent(pod: Pod, name: str) -> set[str]:
    """Resolve with getaddrinfo, which asks A and AAAA at once from one socket, along the search list."""
    return {line.split()[0] for line in pod.run("getent", "ahosts", name).splitlines() if line.strip()}


def until(ask: Callable[[], T], is_right: Callable[[T], bool], seconds: float = 60.0) -> T:
    """Ask until the answer is right, and return it. Fails with the last answer after `seconds`."""
    ends_at = time.monotonic() + seconds
    while not is_right(answer := ask()):
        if time.monotonic() > ends_at:
            raise AssertionError(f"still wrong after {seconds:g} s: {answer}")
        time.sleep(0.03)
    return answer
