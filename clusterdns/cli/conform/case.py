"""A case of the suite as a row: what is asked, in which way, what is expected, and which text requires that.

`cases/` makes the rows, `runner` asks them, `report` shows the verdicts. Nothing here sends or reads a packet.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from clusterdns.cli.conform.reply import WireReply

UDP, TCP = "udp", "tcp"


class SuitePart(enum.StrEnum):
    """One part of the suite, by the text that it follows."""

    SPEC = "spec"  # Kubernetes DNS-based service discovery, 1.1.0
    MCS = "mcs"  # the same for clustersets, KEP-1645
    RFC = "rfc"


class Level(enum.StrEnum):
    """How strong the requirement is, as the text has it."""

    MUST = "must"
    SHOULD = "should"
    MAY = "may"  # allowed to be absent, but not to be wrong


MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY


class Way(enum.StrEnum):
    """How the packets of a case are sent."""

    EACH = "each"  # one after the other, each on its own socket
    SILENT = "silent"  # no reply may come; a plain question is answered afterwards
    SURVIVES = "survives"  # any reply or none; a plain question is answered afterwards
    ONE_CONNECTION = "one connection"  # over TCP, one after the other
    PIPELINED = "pipelined"  # over one TCP connection, without waiting
    SPLIT = "split"  # over TCP, byte by byte
    HALF_CLOSED = "half-closed"  # over TCP, the client's side closed after the query
    FOLLOW = "follow"  # then the targets of the first answer's SRV or PTR records


@dataclass(frozen=True)
class EdnsFields:
    """The OPT record of a query."""

    payload: int = 1232
    version: int = 0
    flags: int = 0  # 0x8000 is DO
    options: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True)
class Ask:
    """One query. `alter` changes its bytes before they are sent, for messages that no library makes."""

    name: str
    qtype: str = "A"
    transport: str = UDP
    edns: EdnsFields | None = None
    qclass: str = "IN"
    opcode: int = 0
    flags: int = 0x0100  # of the header, without the opcode
    message_id: int | None = None
    alter: Callable[[bytes], bytes] | None = None

    @property
    def text(self) -> str:
        """The query in a line."""
        words = [self.name, self.qtype if self.qclass == "IN" else f"{self.qclass} {self.qtype}"]
        words += [f"opcode {self.opcode}"] if self.opcode else []
        words += ["altered"] if self.alter else []
        if self.edns is not None:
            words.append(f"EDNS {self.edns.payload}" + (f" version {self.edns.version}" if self.edns.version else ""))
        return " ".join([*words, "over TCP"] if self.transport == TCP else words)


@dataclass
class Transcript:
    """What was asked in a case, and what came back; without a reply at a place the case has failed already."""

    asked: list[Ask] = field(default_factory=list)
    replies: list[WireReply] = field(default_factory=list)

    @property
    def ask(self) -> Ask:
        """The last query."""
        return self.asked[-1]

    @property
    def reply(self) -> WireReply:
        """The last reply."""
        return self.replies[-1]


Check = Callable[[Transcript], str]  # returns 'expected …, got …', or nothing where all is as expected


@dataclass(frozen=True)
class Case:
    """One row: its ID stays the same from release to release, so that lists of known failures can name it."""

    id: str
    part: SuitePart
    section: str
    level: Level
    title: str
    asks: tuple[Ask, ...]
    checks: tuple[Check, ...]
    way: Way = Way.EACH
    hint: str = ""  # what to do about a failure
    skipped: str = ""  # why it cannot be asked here
    is_raw: bool = False  # the reply need not repeat a question that cannot be read


class CaseVerdict(enum.StrEnum):
    """What became of a case."""

    PASS = "pass"
    FAIL = "fail"
    NO_ANSWER = "no answer"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """A case with its verdict; `reason` is one line, empty for `pass`."""

    case: Case
    verdict: CaseVerdict
    reason: str = ""
    seconds: float = 0.0

    @property
    def is_failure(self) -> bool:
        """Whether the server did not do what the case requires."""
        return self.verdict in (CaseVerdict.FAIL, CaseVerdict.NO_ANSWER)


class Collector:
    """The rows of one part, in order; calling it adds one."""

    def __init__(self, part: SuitePart) -> None:
        self.part = part
        self.cases: list[Case] = []
        self._ids: set[str] = set()

    def __call__(
        self, name: str, section: str, level: Level, title: str, asks: Ask | tuple[Ask, ...], *checks: Check,
        way: Way = Way.EACH, hint: str = "", skipped: str = "", is_raw: bool = False,
    ) -> None:  # fmt: skip
        """Add a case; its ID is the part, the section and a name within it. Raises ValueError where it is taken."""
        number = section if self.part is not SuitePart.RFC else section.removeprefix("RFC ").replace(" §", "-")
        case_id = f"{self.part}-{number}-{name}".replace(" ", "-").lower()
        if case_id in self._ids:
            raise ValueError(f"two cases are called {case_id}")
        self._ids.add(case_id)
        several = asks if isinstance(asks, tuple) else (asks,)
        self.cases.append(Case(case_id, self.part, section, level, title, several, checks, way, hint, skipped, is_raw))
