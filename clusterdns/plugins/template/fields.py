"""The data of a template: the fields, methods and types that CoreDNS's templates have.

Most fields depend on the question alone. The others (`PER_QUERY_FIELDS`) depend on the client or on the spelling of its
query; they are made only for templates that name them, because such a reply cannot be compiled.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from clusterdns.chain import Query
from clusterdns.corefile.values import Match, Pattern
from clusterdns.gotemplate import Fields, Function, StringList, StringMap, Template, Unsigned
from clusterdns.wire import codes
from clusterdns.wire.header import AA, AD, CD, RA, RD, TC
from clusterdns.wire.name import labels

_ESCAPED = frozenset(b" '@;()\"\\.")
_NUMBER = re.compile(r"[0-9]{1,4}\Z")


class PatternMatch(msgspec.Struct, frozen=True):
    """A regular expression and its match in the name."""

    pattern: Pattern
    match: Match

    def fields(self) -> dict[str, Any]:
        """Return the fields Match, Group and Regex; a group that did not match is empty."""
        texts = StringList(text or "" for text in (self.match.group(0), *self.match.groups()))
        groups = StringMap({str(number): text for number, text in enumerate(texts)})
        groups.update((name, text or "") for name, text in self.match.groupdict().items())
        return {"Match": texts, "Group": groups, "Regex": self.pattern.pattern}


def presented(name: bytes) -> str:
    """Return the name with CoreDNS's escapes, which regular expressions expect; they differ from those of `to_text`."""
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
    """Return the method `.Meta`: the value of a metadata label, empty where the query does not have it."""
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


# A template whose text has none of these words cannot read them: a field is reached by its name only.
PER_QUERY_FIELDS: dict[str, Callable[[Query], Any]] = {
    "Remote": _remote,
    "Meta": _meta,
    "Message": _message,
    "Question": _question,
}
FIELDS = frozenset({"Zone", "Name", "Class", "Type", "Match", "Group", "Regex", "Var", *PER_QUERY_FIELDS})


def certain_failures(template: Template, patterns: Sequence[Pattern]) -> list[str]:
    """Return the parts of a template that fail or are empty for every query: unknown fields and groups, wrong calls."""
    found = [str(fault) for fault in template.faults()]
    most = max(pattern.groups for pattern in patterns)
    names = {name for pattern in patterns for name in pattern.groupindex}
    for path in sorted(template.fields(), key=str):
        match path:
            case (str(field), *_) if field not in FIELDS:
                found.append(f"unknown field .{field}")
            case ("Group", str(name), *_) if name not in names and not (_NUMBER.match(name) and int(name) <= most):
                found.append(f"no regular expression has the group {name!r}")
            case ("Match", int(number), *_) if not 0 <= number <= most:
                found.append(f"no regular expression has {number} groups")
    return list(dict.fromkeys(found))
