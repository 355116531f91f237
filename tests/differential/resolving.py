"""Cases about names outside the cluster: a server block each, and the questions sent to it in order.

All cases run in one process of CoreDNS and one of clusterdns, each case on a port of its own. Each process has
its own scripted upstreams (`testing.upstream.scripted`), so that a script that counts queries works the same for both,
and the queries that upstreams received can be compared.

The tables are the files of `cases/`, in this form:

    @common
    ? www A; www A bare              questions that several cases share, as `? @common`

    == plain uncounted keys=zone.test
    forward . UPSTREAM               the block; upstreams are those of `ROLES`, with `_TLS` appended for their TLS
                                     address; FOLDER is `cases/files`, CERTIFICATES has ca.crt
    ? @common; +2.1 www AAAA tcp do

A question is `[+SECONDS] NAME TYPE [how...]`. SECONDS pass before it is sent. A name without a final dot is in the
case's own zone (`www` of case `plain` is `www.plain.test.`). `how` is any of the words of `HOW`, or `v6`: over ::1. An
`uncounted` case may query its upstreams more or less often than CoreDNS does. Cases with pauses begin when all others
have ended, so that the load of the others does not decide which entries have expired.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from differential.questions import AD, CD, COOKIE, RD, Edns, Question, Shape
from differential.replies import ComparedReply, read

from testing.certificates import make_authority, sign
from testing.ports import free_ports
from testing.process import ServerFailed, ServerProcess
from testing.upstream.scripted import ScriptedUpstream

CASES = Path(__file__).parent / "cases"
WAIT_SECONDS = 9.0  # CoreDNS gives up on dead upstreams after 5 s and a time-out
SILENCES, SHORT_SECONDS = 2, 0.5
LATE_SECONDS, TRIES = 1.0, 4  # a case that was asked late, and differs, is asked again
START_SECONDS = 60.0
ZONE = "test"
SERVER_NAME = "dns.corp.example"
ECS = bytes.fromhex("0008000700011800c00002")  # 192.0.2.0/24
PLAIN = Shape(edns=Edns())
HOW = {
    "bare": lambda shape: replace(shape, edns=None),
    "tcp": lambda shape: replace(shape, transport="tcp"),
    "do": lambda shape: replace(shape, edns=replace(shape.edns or Edns(), do=True)),
    "small": lambda shape: replace(shape, edns=Edns(size=512)),
    "large": lambda shape: replace(shape, edns=Edns(size=4096)),
    "cookie": lambda shape: replace(shape, edns=Edns(options=COOKIE)),
    "ecs": lambda shape: replace(shape, edns=Edns(options=ECS)),
    "cd": lambda shape: replace(shape, flags=shape.flags | CD),
    "ad": lambda shape: replace(shape, flags=shape.flags | AD),
    "norec": lambda shape: replace(shape, flags=shape.flags & ~RD),
    "mixed": lambda shape: replace(shape, case="mixed"),
    "upper": lambda shape: replace(shape, case="upper"),
    "ch": lambda shape: replace(shape, qclass=3),
}
ROLES = {  # placeholder of an upstream's address in a block → the words of its script, and the mark of its addresses
    "UPSTREAM": ((), None),
    "SECOND": ((), 2),
    "REFUSING": (("refused",), 3),
    "FAILING": (("servfail",), 4),
    "DENYING": (("nxdomain",), 5),
    "EMPTY": (("nodata",), 6),
    "DEAD": (("dead",), 7),
}  # fmt: skip
LOCATED = re.compile(r"Corefile:(\d+)")
AT_A_TIME = 2  # cases of one server


@dataclass(frozen=True)
class Step:
    """A question, the pause before it, and the address that it is sent to."""

    question: Question
    pause_seconds: float = 0.0
    over: str = "127.0.0.1"

    def __str__(self) -> str:
        shape = "" if self.question.shape == PLAIN else f" {self.question.shape}"
        return f"{self.question.name} {self.question.qtype}{shape}"


@dataclass(frozen=True)
class Case:
    """A server block's directives and its questions; `counted` compares the upstreams' queries as well."""

    name: str
    block: str
    questions: tuple[str, ...]
    counted: bool
    keys: str

    @property
    def waits(self) -> bool:
        """Whether it has pauses between questions."""
        return any(step.pause_seconds for step in self.steps())

    def steps(self) -> list[Step]:
        """Parse the questions."""
        return [read_step(text, f"{self.name}.{ZONE}.") for text in self.questions]


def read_step(text: str, origin: str) -> Step:
    """Parse a question; `origin` is appended to a name without a final dot."""
    words = text.split()
    pause_seconds = float(words.pop(0)) if words[0].startswith("+") else 0.0
    name = words[0] if words[0].endswith(".") else f"{words[0]}.{origin}"
    shape, over = PLAIN, "127.0.0.1"
    for word in words[2:]:
        if word == "v6":
            over = "::1"
        else:
            shape = HOW[word](shape)
    return Step(Question(name, words[1], shape), pause_seconds, over)


def read_cases(path: Path) -> list[Case]:
    """Read the cases of a file of `cases/`."""
    shared: dict[str, tuple[str, ...]] = {}
    found = []
    for part in re.split(r"\n\n+", path.read_text().strip()):
        head, *lines = [line for line in part.splitlines() if not line.startswith("# ")] or [""]
        questions: list[str] = []
        for text in ";".join(line[2:] for line in lines if line.startswith("? ")).split(";"):
            word = text.strip()
            questions += shared[word[1:]] if word.startswith("@") else [word]
        if head.startswith("@"):
            shared[head[1:]] = tuple(questions)
        elif head.startswith("== "):
            name, *how = head[3:].split()
            keys = next((word[5:] for word in how if word.startswith("keys=")), ".")
            block = "\n".join(line for line in lines if not line.startswith("? "))
            assert all(questions), f"{path.name}: {name} has no questions"
            found.append(Case(name, block, tuple(questions), "uncounted" not in how, keys))
    return found


@dataclass
class Run:
    """The replies of one server for one case, and the queries of its upstreams."""

    refused: str = ""  # the error, if the server refuses the block
    replies: list[ComparedReply] = field(default_factory=list)
    upstream: Counter[str] = field(default_factory=Counter)  # "ROLE name TYPE TRANSPORT" → count


class Side:
    """A process of CoreDNS or clusterdns with its upstreams."""

    def __init__(
        self, name: str, program: Path | str, folder: Path, cases: Sequence[Case], certificates: Path | None = None
    ) -> None:
        self.name, self._program, self._folder = name, program, folder
        self._certificates = certificates
        self._cases = list(cases)
        self.runs = {case.name: Run() for case in cases}
        self._ports: dict[str, int] = {}
        self._upstreams: dict[str, ScriptedUpstream] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run the server with the cases that it accepts; the runs of the others have the error."""
        with contextlib.ExitStack() as stack:
            tls = server_context(self._certificates) if self._certificates else None
            for role, (always, mark) in ROLES.items():
                self._upstreams[role] = stack.enter_context(ScriptedUpstream(mark=mark, always=always, tls=tls))
            while True:
                path, lines = self._write()
                path.with_suffix(".log").unlink(missing_ok=True)
                server = ServerProcess(self.name, [self._program, "-conf", path], path.with_suffix(".log"))
                try:
                    server.wait_until(self._listens, "answering", START_SECONDS)
                except ServerFailed as failure:
                    if server.is_running:
                        server.stop()
                        raise
                    self._drop_refused(str(failure), lines, path.with_suffix(".log").read_text())
                    continue
                stack.callback(_stop, server)
                break
            yield

    def _write(self) -> tuple[Path, dict[int, Case]]:
        """Write the Corefile of all cases, and return its path with the case of each line."""
        self._ports = dict(zip([case.name for case in self._cases], free_ports(len(self._cases)), strict=True))
        self._folder.mkdir(parents=True, exist_ok=True)
        text, lines = [], {}
        for case in self._cases:
            block = case.block.replace("FOLDER", str(CASES / "files"))
            for role, upstream in self._upstreams.items():
                block = re.sub(rf"\b{role}\b", upstream.address, block)
                block = re.sub(rf"\b{role}_TLS\b", upstream.tls_address, block)
            block = block.replace("CERTIFICATES", str(self._certificates))
            keys = " ".join(f"{key}:{self._ports[case.name]}" for key in case.keys.split())
            for line in (f"{keys} {{", *block.strip().splitlines(), "}"):
                text.append(line)
                lines[len(text)] = case
        path = self._folder / "Corefile"
        path.write_text("\n".join(text) + "\n")
        return path, lines

    def _drop_refused(self, why: str, lines: dict[int, Case], log: str) -> None:
        named = {int(number) for number in LOCATED.findall(log)}
        refused = {lines[number].name for number in named if number in lines}
        assert refused, f"{self.name} does not start, and names no line: {why}"
        for name in refused:
            self.runs[name].refused = "; ".join(
                line for line in log.splitlines() for number in LOCATED.findall(line) if lines[int(number)].name == name
            )
        self._cases = [case for case in self._cases if case.name not in refused]

    def _listens(self) -> bool:
        for port in self._ports.values():
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)):
                    return False
        return True

    async def ask_all(self, *, waits: bool) -> None:
        """Send the questions of all cases with pauses, at once; or of all without, a few cases at a time.

        Cases without pauses keep the scripted upstreams busy: with all of them at once a reply could take longer than
        the time-outs of a case, on a machine that has more to do.
        """
        cases = [case for case in self._cases if case.waits == waits]
        turns = asyncio.Semaphore(len(cases) if waits else AT_A_TIME)

        async def ask(case: Case) -> None:
            async with turns:
                await self._ask(case)

        await asyncio.gather(*map(ask, cases))

    def count_upstream(self) -> None:
        """Count the queries that the upstreams received."""
        for role, upstream in self._upstreams.items():
            for one in upstream.queries():
                self._count(role, one.name_text.lower(), one.qtype, one.transport)

    def _count(self, role: str, name: str, qtype: str, transport: str) -> None:
        labels = name.rstrip(".").split(".")
        if len(labels) > 1 and labels[-1] == ZONE and labels[-2] in self.runs:
            self.runs[labels[-2]].upstream[f"{role} {name} {qtype} {transport}"] += 1

    async def _ask(self, case: Case) -> None:
        port, run, pace = self._ports[case.name], self.runs[case.name], Pace()
        for step in case.steps():
            reply = await ask(step, step.over, port, patience_seconds(run.replies))
            run.replies.append(pace.note(step, reply))


class Pace:
    """The time that the questions of a case take, beyond the pauses that the case asks for."""

    def __init__(self) -> None:
        self._due = time.monotonic()

    def note(self, step: Step, reply: ComparedReply) -> ComparedReply:
        """Return the reply with the time by which its question and all before it took longer than their pauses."""
        self._due += step.pause_seconds
        return replace(reply, late_seconds=time.monotonic() - self._due)


def patience_seconds(replies: Sequence[ComparedReply]) -> float:
    """Return the time-out of the next question: a short one after `SILENCES` unanswered ones."""
    return WAIT_SECONDS if sum(seen.silent for seen in replies) < SILENCES else SHORT_SECONDS


async def ask(step: Step, host: str, port: int, wait_seconds: float = WAIT_SECONDS) -> ComparedReply:
    """Send one question, once, after its pause, and return the reply."""
    await asyncio.sleep(step.pause_seconds)
    exchange = _over_tcp if step.question.shape.transport == "tcp" else _over_udp
    try:
        reply = await asyncio.wait_for(exchange(host, port, step.question.wire()), wait_seconds)
    except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
        reply = None
    return read(reply[2:] if reply else None)


def make_certificates(folder: Path) -> None:
    """Make an authority (`ca.crt`) and a certificate for `SERVER_NAME` and 127.0.0.1 in an empty folder."""
    make_authority(folder)
    sign(folder, "dns", f"/CN={SERVER_NAME}", f"DNS:{SERVER_NAME},IP:127.0.0.1")


def server_context(folder: Path) -> ssl.SSLContext:
    """Make the TLS context of a scripted upstream, with the certificate of `make_certificates`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "dns.crt", folder / "dns.key")
    return context


def _stop(server: ServerProcess) -> None:
    assert server.is_running, f"{server.name} ended by itself{server.tail()}"
    server.stop()


async def _over_udp(host: str, port: int, wire: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((host, port))
        await loop.sock_sendall(sock, wire)
        while True:
            reply = await loop.sock_recv(sock, 65535)
            if reply[:2] == wire[:2]:
                return reply


async def _over_tcp(host: str, port: int, wire: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(len(wire).to_bytes(2, "big") + wire)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()


def is_late(*replies: Sequence[ComparedReply]) -> bool:
    """Return whether time-outs of servers and TTLs may have passed that an idle machine would have kept."""
    return any(seen[-1].late_seconds > LATE_SECONDS for seen in replies if seen)


def run_both(theirs: Side, ours: Side) -> None:
    """Run all cases on both servers at the same time."""

    async def both() -> None:
        for waits in (False, True):
            await asyncio.gather(theirs.ask_all(waits=waits), ours.ask_all(waits=waits))

    with theirs.running(), ours.running():
        asyncio.run(both())
        theirs.count_upstream()
        ours.count_upstream()


def alike(theirs: ComparedReply, ours: ComparedReply) -> bool:
    """Return whether the replies mean the same to a client; TTLs may differ by a second more than a reply is late."""
    most = 1 + max(theirs.late_seconds, ours.late_seconds)
    return _without_ttls(theirs) == _without_ttls(ours) and all(
        abs(a - b) <= most for a, b in zip(_ttls(theirs), _ttls(ours), strict=True)
    )


def _without_ttls(seen: ComparedReply) -> ComparedReply:
    answer, authority, additional = (
        tuple(line._replace(ttl=0) for line in section) for section in (seen.answer, seen.authority, seen.additional)
    )
    return replace(seen, size=0, late_seconds=0.0, answer=answer, authority=authority, additional=additional)


def _ttls(seen: ComparedReply) -> list[int]:
    return [
        line.ttl
        for section in (seen.answer, seen.authority, seen.additional)
        for line in sorted(section, key=lambda line: line._replace(ttl=0))
    ]
