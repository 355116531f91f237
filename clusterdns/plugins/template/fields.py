"""What the texts of `template` may ask of a query: the fields, methods and types of CoreDNS's templates.

Most of it depends on the question alone. What depends on the client or on how it wrote the question is made only for
texts that name it, because a reply made with it cannot be kept.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clusterdns.chain import Query
from clusterdns.corefile.values import Match, Pattern
from clusterdns.gotemplate import Fields, Function, StringList, StringMap, Template, Unsigned
from clusterdns.wire import codes
from clusterdns.wire.header import AA, AD, CD, RA, RD, TC
from clusterdns.wire.name import labels

_ESCAPED = frozenset(b" '@;()\"\\.")
_NUMBER = re.compile(r"[0-9]{1,4}\Z")


@dataclass(frozen=True)
class Matched:
    """An expression, and what it found."""

    pattern: Pattern
    match: Match

    def fields(self) -> dict[str, Any]:
        """Match, Group and Regex, as templates see them; a group that took no part is empty."""
        texts = StringList(text or "" for text in (self.match.group(0), *self.match.groups()))
        groups = StringMap({str(number): text for number, text in enumerate(texts)})
        groups.update((name, text or "") for name, text in self.match.groupdict().items())
        return {"Match": texts, "Group": groups, "Regex": self.pattern.pattern}


def presented(name: bytes) -> str:
    """The name's text with the escapes of CoreDNS, which expressions are written for: not quite `to_text`'s."""
    return "".join(map(_label_text, labels(name))) or "."


def _label_text(label: bytes) -> str:
    return (
        "".join(
            f"\\{chr(byte)}" if byte in _ESCAPED else chr(byte) if 0x20 < byte < 0x7F else f"\\{byte:03}"
            for byte in label
        )
        + "."
    )


def _remote(query: Query) -> str:
    return str(query.client_ip)


def _meta(query: Query) -> Function:
    """The method that gives a label's text, empty where there is none."""
    known = query.labels or {}
    return Function(lambda label: known.get(label, ""), (str,))


def _question(query: Query) -> Fields:
    name_text = presented(query.question[:-4])
    fields = {"Name": name_text, "Qtype": Unsigned(query.qtype, 16), "Qclass": Unsigned(query.qclass, 16)}
    class_text, type_text = codes.class_text(query.qclass), codes.type_text(query.qtype)
    return Fields(fields, "dns.Question", f";{name_text}\t{class_text}\t {type_text}")


def _message(query: Query) -> Fields:
    number = int.from_bytes(query.id, "big")
    flags = query.flags
    header: dict[str, Any] = {
        "Id": Unsigned(number, 16), "Response": False, "Opcode": 0, "Authoritative": bool(flags & AA),
        "Truncated": bool(flags & TC), "RecursionDesired": bool(flags & RD), "RecursionAvailable": bool(flags & RA),
        "Zero": bool(flags & 0x40), "AuthenticatedData": bool(flags & AD), "CheckingDisabled": bool(flags & CD),
        "Rcode": flags & 0xF,
    }  # fmt: skip
    question = _question(query)
    named = {"aa": AA, "tc": TC, "rd": RD, "ra": RA, "z": 0x40, "ad": AD, "cd": CD}
    flags_text = "".join(f" {name}" for name, bit in named.items() if flags & bit)
    text = (
        f";; opcode: QUERY, status: {codes.rcode_text(flags & 0xF)}, id: {number}\n"
        f";; flags:{flags_text}; QUERY: 1, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 0\n\n"
        f";; QUESTION SECTION:\n{question.text}\n"
    )
    opt = f"\n;; OPT PSEUDOSECTION:\n; EDNS: version {query.version}; flags:{' do' * query.do}; udp: {query.udp_bytes}"
    fields = {
        **header,
        "MsgHdr": Fields(header, "dns.MsgHdr"),
        "Compress": False,
        "Question": [question],
        "Answer": [],
        "Ns": [],
        "Extra": [Fields({}, "dns.OPT", opt)] * query.has_edns,
    }
    return Fields(fields, "dns.Msg", text)


# A text that has none of these words cannot reach what differs between clients: a field has no way in but its name.
OF_THE_CLIENT: dict[str, Callable[[Query], Any]] = {
    "Remote": _remote,
    "Meta": _meta,
    "Message": _message,
    "Question": _question,
}
FIELDS = frozenset({"Zone", "Name", "Class", "Type", "Match", "Group", "Regex", "Var", *OF_THE_CLIENT})


def doubts(template: Template, patterns: Sequence[Pattern]) -> list[str]:
    """What of a template fails, or comes out empty, whenever it is reached: unknown fields and groups, faulty calls."""
    found = [str(fault) for fault in template.faults()]
    most = max(pattern.groups for pattern in patterns)
    names = {name for pattern in patterns for name in pattern.groupindex}
    for path in sorted(template.fields(), key=str):
        match path:
            case (str(field), *_) if field not in FIELDS:
                found.append(f"there is no field .{field}")
            case ("Group", str(name), *_) if name not in names and not (_NUMBER.match(name) and int(name) <= most):
                found.append(f"no expression has a group {name!r}")
            case ("Match", int(number), *_) if not 0 <= number <= most:
                found.append(f"no expression has {number} groups")
    return list(dict.fromkeys(found))
