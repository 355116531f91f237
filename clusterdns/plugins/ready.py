"""The `ready` directive: /ready says whether the server can answer what it is configured for.

200 and OK, followed by a line for each plugin that has a remark to make; or 503: first line the plugins that are not
ready, then a line with the reason of each. Once the process has been told to end it is not ready any more. Why a plugin
is not ready it says itself (`Part.unready`), and each part of a plugin that several blocks use is asked for itself.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from clusterdns.chain import BlockContext, Doc, LifeCycle, Part, PartKey, Plugin
from clusterdns.corefile import values
from clusterdns.corefile.directive import Directive, Line
from clusterdns.corefile.options import Option, read_block

DEFAULT_ADDRESS = ":8181"
PATH = "/ready"
UNTIL_READY, CONTINUOUSLY = "until-ready", "continuously"

Reasons = Callable[[], Mapping[PartKey, str]]

log = logging.getLogger("clusterdns.plugin.ready")


@dataclass(frozen=True)
class Settings:
    """Where /ready is, and whether a plugin that was ready once can become unready."""

    address: str = DEFAULT_ADDRESS
    monitor: str = UNTIL_READY
    asked_by: str = "ready"


class Readiness:
    """What /ready answers for one configuration."""

    def __init__(self, unready_reasons: Reasons, monitor: str, remarks: Reasons = dict) -> None:
        self._unready_reasons = unready_reasons
        self._remarks = remarks
        self._monitor = monitor
        self._waiting: frozenset[PartKey] | None = None  # until-ready: never seen ready; None before the first look
        self._told: tuple[str, ...] = ()
        self._ending = False

    async def drain(self) -> None:
        """From now on not ready: no new clients."""
        self._ending = True

    async def respond(self, request: web.BaseRequest) -> web.Response:
        """The aiohttp handler."""
        reasons = self.reasons()
        names = tuple(reasons)
        if names != self._told:
            self._told = names
            if names:
                log.info("Not ready: %s", "; ".join(f"{name} ({reasons[name]})" for name in names))
            else:
                log.info("Ready")
        if not names:
            remarks = by_name(self._remarks())
            return web.Response(text="\n".join(["OK", *(f"{name}: {text}" for name, text in remarks.items())]))
        lines = [",".join(names), *(f"{name}: {reasons[name]}" for name in names)]
        return web.Response(status=503, text="\n".join(lines))

    def reasons(self) -> Mapping[str, str]:
        """The plugins that are not ready as far as this directive is to tell, with the reason."""
        if self._ending:
            return {"shutdown": "the server is about to end"}
        reasons = self._unready_reasons()
        if self._monitor == UNTIL_READY:
            unready = frozenset(reasons)
            self._waiting = unready if self._waiting is None else self._waiting & unready
            reasons = {part: reasons[part] for part in reasons if part in self._waiting}
        return by_name(reasons)


def by_name(texts: Mapping[PartKey, str]) -> dict[str, str]:
    """One text for each plugin, in the order of their names; what several of its parts say alike is said once."""
    found: dict[str, list[str]] = {}
    for name, number in sorted(texts):
        several = found.setdefault(name, [])
        if texts[name, number] not in several:
            several.append(texts[name, number])
    return {name: "; ".join(several) for name, several in found.items()}


def parse(directives: Sequence[Directive], context: BlockContext) -> Settings:
    """`ready [HOST:PORT] { monitor until-ready|continuously }`. Raises CorefileError."""
    settings = Settings(asked_by=f"{directives[-1].place}: ready")
    for directive in directives:
        for word in directive.arguments_between(0, 1, "[HOST:PORT]"):
            settings = replace(settings, address=str(values.listen_address(word)))
    return read_block(settings, directives, _OPTIONS)


def _monitor(settings: Settings, line: Line) -> Settings:
    word = line.one_argument("until-ready|continuously")
    return replace(settings, monitor=values.choice(word, (UNTIL_READY, CONTINUOUSLY)))


_OPTIONS = (
    Option(
        "monitor until-ready|continuously",
        UNTIL_READY,
        "Whether a plugin that was ready once is asked again.",
        _monitor,
    ),
)


def build(settings: Settings, context: BlockContext) -> Part:
    """The listener."""
    readiness = Readiness(context.shared.unready_reasons, settings.monitor, context.shared.warnings)
    context.shared.http(settings.address, PATH, readiness.respond, settings.asked_by)
    return Part("ready", life=LifeCycle(drain=readiness.drain))


DOC = Doc(
    usage=("ready [HOST:PORT]",),
    about="`/ready` on `:8181`: 200 and `OK` when every plugin is ready, else 503 with their names and the reasons. "
    "What is wrong though the server answers (a forwarding loop, a last good Corefile in use) follows the `OK`.",
    options=_OPTIONS,
    example="ready {\n    monitor continuously\n}\nwhoami",
    better="every block's plugins are asked, not the last one of each name; the reasons are told; a server that is "
    "about to end is not ready.",
)
PLUGIN = Plugin("ready", parse, build, once=True, doc=DOC)
