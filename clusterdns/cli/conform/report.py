"""The verdicts as a table by section, as JSON, and as JUnit XML for continuous integration.

Texts that come from a server are escaped, so that neither a terminal nor a parser of XML interprets them. In JUnit a
case that is not a `must` is reported as skipped where it fails: its failure does not fail the suite either.
"""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TextIO
from xml.etree import ElementTree

from clusterdns.cli.colour import is_coloured
from clusterdns.cli.conform.case import Ask, CaseVerdict, Level, Outcome, SuitePart, Way
from clusterdns.cli.conform.exchange import ServerAddress
from clusterdns.cli.conform.expect import DO

TITLES = {
    SuitePart.SPEC: "Kubernetes DNS-based service discovery 1.1.0",
    SuitePart.MCS: "Multicluster DNS (KEP-1645)",
    SuitePart.RFC: "RFCs",
}
COLUMNS = (CaseVerdict.PASS, CaseVerdict.FAIL, CaseVerdict.NO_ANSWER, CaseVerdict.SKIPPED)
_COLOURS = {CaseVerdict.PASS: "32", CaseVerdict.FAIL: "31", CaseVerdict.NO_ANSWER: "31", CaseVerdict.SKIPPED: "33"}
_NUMBERS = re.compile(r"(\d+)")


def shown(text: str) -> str:
    """Escape what is not printable ASCII or a sign of our own texts."""
    return "".join(
        one if one.isprintable() and (one.isascii() or one in "§…") else f"\\u{ord(one):04x}" for one in text
    )


def next_step(server: ServerAddress, outcome: Outcome) -> str:
    """Return the command that repeats a case's last question, with the hint of the row."""
    case, ask = outcome.case, outcome.case.asks[-1]
    is_plain = case.way in (Way.EACH, Way.FOLLOW) and not ask.alter and not ask.opcode and ask.flags == Ask.flags
    command = f"see: {dig(server, ask)}" if is_plain else ""
    return "; ".join(filter(None, (command, case.hint)))


def dig(server: ServerAddress, ask: Ask) -> str:
    """Write a query as dig's arguments."""
    words = [f"dig @{server.host} -p {server.port}", shlex.quote(ask.name), ask.qtype]
    words += ["-c", ask.qclass] if ask.qclass != "IN" else []
    if ask.edns is None:
        words.append("+noedns")
    else:
        words += [f"+bufsize={ask.edns.payload}", "+nocookie"]
        words += [f"+edns={ask.edns.version}", "+noednsneg"] if ask.edns.version else []
        words += ["+dnssec"] if ask.edns.flags & DO else []
        words += [f"+ednsopt={code}:{content.hex()}" for code, content in ask.edns.options]
    return " ".join([*words, "+tcp" if ask.transport == "tcp" else "+ignore"])


def reason(server: ServerAddress, outcome: Outcome) -> str:
    """Return why a case did not pass, in one line."""
    parts = (outcome.reason, next_step(server, outcome) if outcome.is_failure else "")
    return shown("; ".join(filter(None, parts)))


def table(server: ServerAddress, outcomes: Sequence[Outcome], stream: TextIO, *, shows_all: bool) -> str:
    """Write the sections, then the cases that did not pass (or all), then the totals."""
    has_colours = is_coloured(stream)

    def painted(verdict: CaseVerdict, word: str) -> str:
        return f"\033[{_COLOURS[verdict]}m{word}\033[0m" if has_colours else word

    lines = [*_sections(outcomes), ""]
    for one in outcomes:
        if one.is_failure or shows_all:
            word = painted(one.verdict, one.verdict.upper())
            why = f": {reason(server, one)}" if one.reason else ""
            lines.append(f"{word} {one.case.level} {shown(one.case.id)} ({shown(one.case.title)}){why}")
    skipped = Counter(one.reason for one in outcomes if one.verdict is CaseVerdict.SKIPPED)
    lines += [
        f"{painted(CaseVerdict.SKIPPED, 'SKIPPED')} {number} cases: {shown(why)}" for why, number in skipped.items()
    ]
    return "\n".join([*lines, "", *_totals(outcomes)]) + "\n"


def _sections(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a line per section, with counts by verdict."""
    header = ("SECTION", *(column.upper() for column in COLUMNS))
    rows = [header]
    for part in SuitePart:
        of_part = [one for one in outcomes if one.case.part is part]
        for title in sorted({_title(one) for one in of_part}, key=_order):
            counts = Counter(one.verdict for one in of_part if _title(one) == title)
            rows.append((title, *(str(counts[column] or "") for column in COLUMNS)))
    yield from _aligned(rows)


def _title(one: Outcome) -> str:
    """Return the row of the table that a case belongs to: a section of a specification, or an RFC."""
    section = one.case.section
    return section.partition(" §")[0] if one.case.part is SuitePart.RFC else f"{one.case.part} §{section}"


def _order(section: str) -> list[tuple[int, str]]:
    """Return a key that sorts the numbers in a section's name as numbers."""
    return [(int(word), "") if word.isdigit() else (0, word) for word in _NUMBERS.split(section)]


def _totals(outcomes: Sequence[Outcome]) -> Iterator[str]:
    rows = [("LEVEL", "CASES", *(column.upper() for column in COLUMNS))]
    for level in Level:
        counts = Counter(one.verdict for one in outcomes if one.case.level is level)
        rows.append((level, str(counts.total()), *(str(counts[column]) for column in COLUMNS)))
    yield from _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        yield f"{first:{widths[0]}}{''.join(cells)}".rstrip()


def as_json(server: ServerAddress, outcomes: Sequence[Outcome]) -> str:
    """Write the outcomes as one JSON object."""
    return json.dumps({
        "server": server.text,
        "ok": not any(one.is_failure and one.case.level is Level.MUST for one in outcomes),
        "totals": {
            str(level): {str(column): count for column, count in _counted(outcomes, level).items()} for level in Level
        },
        "cases": [
            {
                "id": shown(one.case.id), "part": one.case.part, "section": one.case.section, "level": one.case.level,
                "title": shown(one.case.title), "question": shown("; ".join(ask.text for ask in one.case.asks[:3])),
                "verdict": one.verdict, "reason": shown(one.reason),
                "next": shown(next_step(server, one)) if one.is_failure else "", "seconds": round(one.seconds, 4),
            }
            for one in outcomes
        ],
    }, indent=2) + "\n"  # fmt: skip


def _counted(outcomes: Sequence[Outcome], level: Level) -> dict[CaseVerdict, int]:
    counts = Counter(one.verdict for one in outcomes if one.case.level is level)
    return {column: counts[column] for column in COLUMNS}


def junit(server: ServerAddress, outcomes: Sequence[Outcome]) -> bytes:
    """Write the outcomes as JUnit XML, a suite per part."""
    root = ElementTree.Element("testsuites", name=f"clusterdns conform {server.text}")
    for part in SuitePart:
        of_part = [one for one in outcomes if one.case.part is part]
        failed = [one for one in of_part if one.is_failure and one.case.level is Level.MUST]
        others = [one for one in of_part if one.verdict is not CaseVerdict.PASS and one not in failed]
        suite = ElementTree.SubElement(
            root, "testsuite", name=TITLES[part], tests=str(len(of_part)), failures=str(len(failed)), errors="0",
            skipped=str(len(others)), time=f"{sum(one.seconds for one in of_part):.3f}",
        )  # fmt: skip
        for one in of_part:
            where = f"conform.{part}.{one.case.section}"
            case = ElementTree.SubElement(
                suite, "testcase", classname=where, name=shown(one.case.id), time=f"{one.seconds:.3f}"
            )
            if one.is_failure and one.case.level is Level.MUST:
                ElementTree.SubElement(case, "failure", type=one.verdict, message=reason(server, one))
            elif one.verdict is not CaseVerdict.PASS:
                ElementTree.SubElement(case, "skipped", message=f"{one.case.level}: {reason(server, one)}")
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
