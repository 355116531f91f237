"""An explanation as text for people: the verdict first, then what led to it.

Texts of objects, upstreams and names are escaped where they could break a line or control the terminal. Colours are for
a terminal.
"""

from collections.abc import Iterable, Iterator
from typing import TextIO

from clusterdns.cli.colour import BOLD, GREEN, RED, YELLOW, painted
from clusterdns.server.explaining.explanation import (
    DOES_NOT_RESOLVE,
    MAX_LISTED,
    PASSED_ON,
    RESOLVES,
    ChainStep,
    ExplainedAnswer,
    ExplainedEndpoint,
    ExplainedService,
    Explanation,
    SearchWalk,
)
from clusterdns.telemetry.printable import one_line

_WIDTH = 10  # of the headings
_COLOURS = {RESOLVES: GREEN, DOES_NOT_RESOLVE: RED}
MAX_LINE = 500
MAX_STEPS, MAX_ROWS = 10, 60

Section = tuple[str, Iterable[str]]


def as_text(found: Explanation, stream: TextIO) -> str:
    """Write the explanation, with colours where the stream is a terminal."""
    verdict = one_line(found.verdict.line, MAX_LINE)
    head, colon, _ = verdict.partition(":")
    first = painted(verdict, _COLOURS.get(found.verdict.outcome, YELLOW), head + colon, stream)
    lines = [first, ""]
    for heading, rows in _sections(found):
        lines += _section(heading, rows, stream)
    return "\n".join(lines).rstrip() + "\n"


def _sections(found: Explanation) -> Iterator[Section]:
    yield "question", [f"{found.name} {found.type}, client {found.client}"]
    yield "corefile", filter(None, [found.corefile])
    if found.walks:
        yield "search", _walks(found)
    yield "block", [(f"{found.block}, zone {found.zone}" if found.zone else found.block) or "none serves the name"]
    yield "chain", _chain(found.steps)
    yield (
        "upstreams",
        [f"{one.upstream} ({one.transport}): {one.outcome}, {_milliseconds(one.seconds)}" for one in found.attempts],
    )
    for service in found.services:
        yield "object", _service(service)
    yield "answer", _answer(found.answer)
    yield "cached", filter(None, [found.cached])
    yield "changed by", found.changes
    yield "notes", found.notes


def _section(heading: str, rows: Iterable[str], stream: TextIO) -> list[str]:
    lines = []
    several = list(rows)
    if len(several) > MAX_ROWS:
        several = [*several[:MAX_ROWS], f"… and {len(several) - MAX_ROWS} more lines; --json has all"]
    for row in several:
        shown = f"{heading:{_WIDTH}}  {one_line(row, MAX_LINE)}".rstrip()
        lines.append(painted(shown, BOLD, heading, stream) if heading else shown)
        heading = ""
    return lines


def _walks(found: Explanation) -> Iterator[str]:
    yield f"{found.asked_as}, with {' '.join(found.search_list)}"
    alike: dict[tuple[str, ...], list[str]] = {}
    for walk in found.walks:
        alike.setdefault(tuple(_walk(walk)), []).append(walk.resolver)
    for lines, resolvers in alike.items():
        yield f"{' and '.join(resolvers)}:"
        yield from lines


def _walk(walk: SearchWalk) -> Iterator[str]:
    for step in walk.steps[:MAX_LISTED]:
        results = ", ".join(f"{rtype} {code}" for rtype, code in step.results.items())
        yield f"  {step.name}  {results}: {step.effect}"
    if len(walk.steps) > MAX_LISTED:
        yield f"  … and {len(walk.steps) - MAX_LISTED} more names"
    yield f"  -> {walk.found or walk.failure}"


def _chain(steps: Iterable[ChainStep]) -> Iterator[str]:
    """Write the plugins that did something, those of a look-up below the one that looked up."""
    shown = [line for step in _in_order(steps) if (line := _step(step))]
    yield from shown[:MAX_STEPS]
    if len(shown) > MAX_STEPS:
        yield f"… and {len(shown) - MAX_STEPS} more steps"


def _in_order(steps: Iterable[ChainStep]) -> Iterator[ChainStep]:
    for step in steps:
        yield step
        yield from _in_order(step.steps)


def _step(step: ChainStep) -> str:
    """Write a step; empty for a plugin that only passed the question and the reply on."""
    changed = [one for one in step.steps if (one.name, one.type) != (step.name, step.type)]
    if step.action == PASSED_ON and not changed and step.plugin != "cache":
        return ""
    asked = "".join(f", asks for {one.name} {one.type}" for one in changed)
    outcome = "passed the reply on" if step.action == PASSED_ON else f"{step.action} {step.code}".rstrip()
    detail = f": {step.detail}" if step.detail else ""
    return f"{'  ' * step.depth}{step.plugin} ({step.place}) {outcome}{asked}{detail}, {_milliseconds(step.seconds)}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f} ms"


def _service(one: ExplainedService) -> Iterator[str]:
    place = f" ({one.place})" if one.place else ""
    if not one.exists:
        missing = "does not exist" if one.namespace_exists else f'namespace "{one.namespace}" does not exist'
        yield f"{one.label}: {missing}"
    else:
        kind = "headless" if one.is_headless else one.type
        target = f" of {one.external_name}" if one.external_name else ""
        yield f"{one.label}{place}: {kind}{target}" + (f", {' '.join(one.cluster_ips)}" if one.cluster_ips else "")
    if one.selector:
        yield f"  selector {','.join(f'{key}={value}' for key, value in one.selector.items())}"
    if one.publishes_not_ready:
        yield "  publishNotReadyAddresses: endpoints that are not ready have names, too"
    for port in one.ports[:MAX_LISTED]:
        node = f", nodePort {port.node_port}" if port.node_port else ""
        target = f" -> targetPort {port.target_port}" if port.target_port else ""
        name = f", SRV {port.srv_name}" if port.srv_name else ", without a name, so without an SRV name"
        yield f"  port {port.port}/{port.protocol} {port.name}{target}{node}{name}"
    yield from _endpoints(one)
    for problem in one.problems:
        yield f"  ignored: {problem}"
    for unseen in one.unseen:
        yield f"  not seen: {unseen}"


def _endpoints(one: ExplainedService) -> Iterator[str]:
    for part in one.slices:
        place = f" ({part.place})" if part.place else ""
        yield f"  slice {part.name}{place}: {part.address_type}, {part.endpoint_count} endpoints"
    if one.slice_count > len(one.slices):
        yield f"  … and {one.slice_count - len(one.slices)} more slices"
    if one.endpoint_count:
        yield f"  endpoints: {one.listed_count} of {one.endpoint_count} in DNS"
    for endpoint in one.endpoints:
        yield f"    {_endpoint(endpoint)}"
    if one.endpoint_count > len(one.endpoints):
        yield f"    … and {one.endpoint_count - len(one.endpoints)} more"


def _endpoint(one: ExplainedEndpoint) -> str:
    conditions = (("ready", one.ready), ("serving", one.serving), ("terminating", one.terminating))
    places = (("pod", one.pod), ("node", one.node), ("zone", one.zone), ("name", one.hostname))
    said = ", ".join(f"{name} {text}" for name, text in (*conditions, *places) if text)
    shown = f"{' '.join(one.addresses) or 'no address'}: {said}".rstrip(": ")
    return shown if one.is_listed else f"{shown}; left out: {one.reason}" if one.reason else f"{shown}; left out"


def _answer(answer: ExplainedAnswer) -> Iterator[str]:
    flags = " aa" if answer.is_authoritative else ""
    yield f"{answer.rcode}{flags}, {answer.message_bytes} bytes" + _truncation(answer)
    yield from answer.answer
    if answer.answer_count > len(answer.answer):
        yield f"… and {answer.answer_count - len(answer.answer)} more records"
    for record in answer.authority:
        yield f"authority: {record}"
    for error in answer.extended_errors:
        yield f"EDE: {error}"


def _truncation(answer: ExplainedAnswer) -> str:
    if answer.is_truncated:
        return ", truncated by the upstream"
    if not answer.fits_udp_1232:
        return ", truncated over UDP: clients ask again over TCP"
    return "" if answer.fits_udp_512 else ", truncated over UDP for clients without EDNS"
