"""The `ready` directive: /ready reports whether every plugin can answer its queries, /status what each of them knows.

The response is 200 and OK, followed by a line for each plugin with a warning; or 503, with the plugins that are not
ready in the first line and then a line with the reason of each. During a shutdown the server is not ready. Every part
reports its own state (`Part.readiness`), also where several blocks use the same plugin.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

import clusterdns
from clusterdns.admin import status_page
from clusterdns.admin.page import Page, PageRequest, text_page
from clusterdns.admin.status_page import StatusPage
from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, PartKey, Plugin
from clusterdns.chain.block import Shared
from clusterdns.chain.exports import CURRENT
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block

DEFAULT_ADDRESS = ":8181"
PATH, EXPLAIN_PATH = "/ready", "/explain"
UNTIL_READY, CONTINUOUSLY = "until-ready", "continuously"

Reasons = Callable[[], Mapping[PartKey, str]]

log = logging.getLogger("clusterdns.plugin.ready")


class ReadySettings(msgspec.Struct, frozen=True):
    """The address of /ready, and whether a plugin that was ready once can become unready."""

    address: str = DEFAULT_ADDRESS
    monitor: str = UNTIL_READY
    asked_by: str = "ready"


class ReadyPage:
    """The page /ready of one configuration."""

    def __init__(
        self, unready_reasons: Reasons, monitor: str, warnings: Reasons = dict, lapses: Reasons = dict
    ) -> None:
        self._unready_reasons = unready_reasons
        self._lapses = lapses
        self._warnings = warnings
        self._monitor = monitor
        self._waiting: frozenset[PartKey] | None = None  # parts never ready so far; None before the first request
        self._logged: tuple[str, ...] = ()
        self._ending = False

    async def drain(self) -> None:
        """Report not ready from now on, so that no new clients come."""
        self._ending = True

    async def respond(self, request: PageRequest) -> Page:
        """Answer a probe, and log when the set of plugins that are not ready changes."""
        reasons = self.reasons()
        names = tuple(reasons)
        if names != self._logged:
            self._logged = names
            if names:
                log.info("Not ready: %s", "; ".join(f"{name} ({reasons[name]})" for name in names))
            else:
                log.info("Ready")
        if not names:
            warnings = by_name(self._warnings())
            return text_page("\n".join(["OK", *(f"{name}: {text}" for name, text in warnings.items())]))
        lines = [",".join(names), *(f"{name}: {reasons[name]}" for name in names)]
        return text_page("\n".join(lines), 503)

    def reasons(self) -> Mapping[str, str]:
        """Return the plugins to report as not ready, with the reason."""
        if self._ending:
            return {"shutdown": "the server is about to end"}
        reasons = self._unready_reasons()
        if self._monitor == UNTIL_READY:
            unready = frozenset(reasons)
            self._waiting = unready if self._waiting is None else self._waiting & unready
            reasons = {part: reasons[part] for part in reasons if part in self._waiting}
        else:
            reasons = {**self._lapses(), **reasons}
        return by_name(reasons)


def by_name(texts: Mapping[PartKey, str]) -> dict[str, str]:
    """Join the texts of each plugin's parts, each text once; in the order of the plugins' names."""
    found: dict[str, list[str]] = {}
    for name, number in sorted(texts):
        several = found.setdefault(name, [])
        if texts[name, number] not in several:
            several.append(texts[name, number])
    return {name: "; ".join(several) for name, several in found.items()}


def status_document(shared: Shared) -> dict[str, Any]:
    """Make the document of /status: the state in a word, what /ready reports, and the sections of the parts."""
    sections = shared.status_sections()
    states = [row["state"] for rows in sections.values() for row in rows if "state" in row]
    document: dict[str, Any] = {
        "state": next((state for state in states if state != CURRENT), CURRENT),
        "version": clusterdns.__version__,
        "corefile_sha512": shared.corefile_sha512,
    }
    for key, texts in (("not_ready", shared.unready_reasons()), ("warnings", shared.warnings())):
        if texts:
            document[key] = by_name(texts)
    return {**document, **sections}


def parse(directives: Sequence[Directive], context: BlockContext) -> ReadySettings:
    """Read `ready [HOST:PORT] { monitor until-ready|continuously }`. Raises CorefileError."""
    settings = ReadySettings(asked_by=f"{directives[-1].place}: ready")
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[HOST:PORT]"):
            settings = replace(settings, address=str(values.listen_address(word)))
    return read_block(settings, directives, _OPTIONS)


def _monitor(settings: ReadySettings, line: Line) -> ReadySettings:
    word = line.one_argument("until-ready|continuously")
    return replace(settings, monitor=values.choice(word, (UNTIL_READY, CONTINUOUSLY)))


_OPTIONS = (
    Option(
        "monitor until-ready|continuously",
        UNTIL_READY,
        "Whether a plugin that was ready once is asked again. With `continuously` also what it lacks counts: kinds of "
        "objects that are stale (`stale_after` of `kubernetes`).",
        _monitor,
    ),
)


def build(settings: ReadySettings, context: BlockContext) -> Part:
    """Register /ready and /status, and make the part that reports a shutdown."""
    shared = context.shared
    page = ReadyPage(shared.unready_reasons, settings.monitor, shared.warnings, shared.lapses)
    shared.http(settings.address, PATH, page.respond, settings.asked_by)
    shared.http(settings.address, EXPLAIN_PATH, shared.explain, settings.asked_by)
    status = StatusPage(lambda: status_document(shared))
    for path in (status_page.PATH, status_page.JSON_PATH):
        shared.http(settings.address, path, status, settings.asked_by)
    return Part("ready", life=LifeCycle(drain=page.drain))


DOC = Doc(
    usage=("ready [HOST:PORT]",),
    about="`/ready` on `:8181`: 200 and `OK` when every plugin is ready, else 503 with their names and the reasons. "
    "Warnings (a forwarding loop, a last good Corefile in use) follow the `OK`. `/status` on the same address has the "
    "state of each watch and upstream, as text or JSON: see [operations.md](operations.md#status). "
    "`/explain?name=NAME` says why a name resolves or does not: see [explain.md](explain.md#the-page-explain).",
    options=_OPTIONS,
    example="ready {\n    monitor continuously\n}\nwhoami",
    better="The plugins of every block are asked, not only the last one of each name; reasons are shown; a server that "
    "is shutting down is not ready.",
)
PLUGIN = Plugin("ready", parse, build, once=True, doc=DOC)
