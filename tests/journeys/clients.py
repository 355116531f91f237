"""What people ask with: dig, nslookup of bind9-dnsutils and of busybox, and the C library's own resolver.

Each function runs the real program in a pod and reads what it prints into a table row of addresses, names and codes.
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
    """One reply as dig shows it. A record is (owner, type, data), names without their last dot."""

    status: str
    flags: frozenset[str]
    records: tuple[tuple[str, str, str], ...]
    has_edns: bool
    server: str
    transport: str

    @property
    def data(self) -> list[str]:
        """The data of the answer section, in order."""
        return [data for _, _, data in self.records]

    @property
    def dependencies(self) -> set[str]:
        """The names that the records belong to."""
        return {owner for owner, _, _ in self.records}


def dig(pod: Pod, *words: str) -> Answer:
    """One question; `+search` among the words makes dig use the search list. Raises ValueError without a reply."""
    (answer,) = dig_all(pod, *words)
    return answer


def dig_all(pod: Pod, *words: str) -> list[Answer]:
    """Several questions from one dig, in order.

    Without dig's own cookie, which nobody else sends: with it no two questions are alike, and none is answered from
    the answers compiled for earlier ones.
    """
    printed = pod.run(need("dig"), "+tries=2", "+time=2", "+nocookie", *words)
    replies = [_read(part) for part in printed.split(";; ->>HEADER<<-")[1:]]
    if not replies or "no servers could be reached" in printed or ";; Warning" in printed:
        raise ValueError(f"dig {' '.join(words)}: {printed}")
    return replies


def _read(printed: str) -> Answer:
    status, flags, server = _HEADER.search(printed), _FLAGS.search(printed), _SERVER.search(printed)
    if status is None or flags is None or server is None:
        raise ValueError(f"not a reply as dig shows one: {printed}")
    section = printed.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0]
    lines = [line.split(None, 4) for line in section.splitlines()]
    records = tuple((owner.rstrip("."), rtype, _undotted(data)) for owner, _, _, rtype, data in lines)
    return Answer(status[1], frozenset(flags[1].split()), records, "OPT PSEUDOSECTION" in printed, server[1], server[2])


def _undotted(data: str) -> str:
    return data[:-1] if data.endswith(".") else data


def nslookup(pod: Pod, *words: str) -> dict[str, set[str]]:
    """What bind9's nslookup finds: name → addresses, or for an address `arpa name` → names. Empty: it found nothing."""
    return _lookups(pod.run(need("nslookup"), *words))


def busybox_nslookup(pod: Pod, *words: str) -> dict[str, set[str]]:
    """The same of busybox, as in the images that people debug with."""
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
    """The addresses that getaddrinfo finds: A and AAAA asked side by side from one socket, along the search list."""
    return {line.split()[0] for line in pod.run("getent", "ahosts", name).splitlines() if line.strip()}


def until(ask: Callable[[], T], is_right: Callable[[T], bool], seconds: float = 10.0) -> T:
    """Ask until the answer is right. Fails with the last answer, which says more than the time that ran out."""
    ends_at = time.monotonic() + seconds
    while not is_right(answer := ask()):
        if time.monotonic() > ends_at:
            raise AssertionError(f"still wrong after {seconds:g} s: {answer}")
        time.sleep(0.03)
    return answer
