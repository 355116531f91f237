"""The chain of a server block with a recorder around each handler.

The chain is folded from the same parts as the one that answers clients, so that it has their state, and only for one
explanation: clients pay nothing, and no plugin knows of it. The step of the handler that asks is a context variable,
because handlers ask for other names through dispatch, and some in tasks of their own.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter

from msgspec.structs import replace

from clusterdns.chain import Handler, Part, Query, Reply
from clusterdns.chain.exports import Deciding
from clusterdns.corefile.directive import ServerBlock
from clusterdns.server.explaining.explanation import ANSWERED, CHANGED, PASSED_ON, ChainStep
from clusterdns.wire import codes
from clusterdns.wire.name import to_text

MAX_STEPS = 500  # of one explanation

_ASKING: ContextVar["TracedStep | None"] = ContextVar("asking", default=None)


@dataclass
class TracedStep:
    """A handler's query and reply, and the step as it is shown."""

    source: ServerBlock
    part: Part
    query: Query
    shown: ChainStep
    reply: Reply | None = None
    inner: list["TracedStep"] = field(default_factory=list)  # the steps of the handlers that it called


class Trace:
    """The steps of one question, in the order in which the handlers were called."""

    def __init__(self) -> None:
        self.steps: list[TracedStep] = []
        self.roots: list[TracedStep] = []
        self.is_cut = False

    def traced(self, source: ServerBlock, part: Part) -> Part:
        """Return the part with a recorder around its handler."""
        wrap = part.handling.wrap
        if wrap is None:
            return part
        return replace(part, handling=replace(part.handling, wrap=self._recorder(source, part, wrap)))

    def _recorder(
        self, source: ServerBlock, part: Part, wrap: Callable[[Handler], Handler]
    ) -> Callable[[Handler], Handler]:
        def recording(following: Handler) -> Handler:
            handler = wrap(following)

            async def recorded(query: Query) -> Reply:
                if len(self.steps) >= MAX_STEPS:
                    self.is_cut = True
                    return await handler(query)
                return await self._run(TracedStep(source, part, query, _shown(source, part, query)), handler)

            return recorded

        return recording

    async def _run(self, step: TracedStep, handler: Handler) -> Reply:
        parent = _ASKING.get()
        self.steps.append(step)
        (self.roots if parent is None else parent.inner).append(step)
        if parent is not None:
            parent.shown.steps.append(step.shown)
        token = _ASKING.set(step)
        started = perf_counter()
        try:
            reply = step.reply = await handler(step.query)
        except BaseException as error:
            step.shown.action, step.shown.detail = "failed", f"{type(error).__name__}: {error}"
            raise
        finally:
            step.shown.seconds = perf_counter() - started
            _ASKING.reset(token)
        step.shown.code = codes.rcode_text(reply.rcode)
        step.shown.action = _action(step, reply)
        _describe(step)
        return reply

    def deciding(self) -> TracedStep | None:
        """Return the step whose handler made the reply that the client gets, however others changed it."""
        current = self.roots[0] if self.roots else None
        while current is not None and current.inner and current.shown.action in (PASSED_ON, CHANGED):
            current = current.inner[-1]
        return current

    def of(self, *plugins: str) -> list[TracedStep]:
        """Return the steps of these plugins, in order."""
        return [one for one in self.steps if one.part.name in plugins]


def _action(step: TracedStep, reply: Reply) -> str:
    inner = step.inner[-1].reply if step.inner else None
    if inner is None:
        return ANSWERED
    return PASSED_ON if _is_same(reply, inner) else CHANGED


def _describe(step: TracedStep) -> None:
    """Add what decided, in the words of the plugin."""
    deciding = next((one for one in step.part.exports if isinstance(one, Deciding)), None)
    if deciding is not None:
        decision = deciding.describe(step.query)
        step.shown.detail = decision.text
        step.shown.place = decision.place or step.shown.place


def _shown(source: ServerBlock, part: Part, query: Query) -> ChainStep:
    directives = source.named(part.name)
    place = directives[0].place if directives else ""
    return ChainStep(part.name, place, to_text(query.name), codes.type_text(query.qtype), depth=query.depth)


def _is_same(reply: Reply, inner: Reply) -> bool:
    """Return whether a reply has the code and the sections of the inner one; handlers pass on duplicates, too."""
    return reply is inner or (
        reply.rcode == inner.rcode
        and not reply.is_dropped
        and reply.answer is inner.answer
        and reply.authority is inner.authority
        and reply.options == inner.options
    )
