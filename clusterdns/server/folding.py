"""From the parts of a server block to its chain: one handler, folded once when the configuration is built.

`assembly` makes the parts in plugin order; `listen_points` puts the chain behind each zone of the block. Queries of
other classes than IN bypass the parts that know class IN only; both ways through a block share each handler.
"""

from collections.abc import Coroutine, Sequence
from typing import Any

from clusterdns.chain import Handler, Part, Query, Reply, Reuse, failure
from clusterdns.server.routes import Chain
from clusterdns.wire import codes


def fold(parts: Sequence[Part]) -> Chain:
    """Make the chain of a block's parts, the first one outermost."""
    handlings = [part.handling for part in parts]
    handler, other_handler = _handlers(parts)
    collects_labels = any(one.collects_labels for one in handlings)
    return Chain(
        handler,
        other_handler,
        takes_any_class=any(one.takes_any_class for one in handlings),
        observers=tuple(one.observe for one in reversed(handlings) if one.observe is not None),
        labellers=tuple(one.labels for one in handlings if one.labels is not None) if collects_labels else (),
        keeps_answers=all(one.reuse is not Reuse.EVERY_QUERY for one in handlings),
        counts_queries=any(one.counts_queries for one in handlings),
        writer=_writer(parts),
    )


def _handlers(parts: Sequence[Part]) -> tuple[Handler | None, Handler | None]:
    """Return the handler for class IN and the one for all other classes; a part's `wrap` is called once for both."""
    links = [part for part in parts if part.handling.is_link]
    other_links = [part for part in links if not part.handling.is_for_in_only]
    if not links:
        return None, None
    handler = _end_of_chain(_last_name(links))
    other_handler = _end_of_chain(_last_name(other_links)) if other_links else handler
    for part in reversed(links):
        wrap = part.handling.wrap
        if wrap is None:
            continue
        if part.handling.is_for_in_only:
            handler = wrap(handler)
        else:
            following = handler if handler is other_handler else _by_class(handler, other_handler)
            handler = other_handler = wrap(following)
    return handler, other_handler if other_links else None


def _last_name(links: Sequence[Part]) -> str:
    """Return the last plugin with a handler, or the last observer where no plugin has one."""
    return next((part.name for part in reversed(links) if part.handling.wrap is not None), links[-1].name)


def _by_class(handler: Handler, other_handler: Handler) -> Handler:
    """Go on with one handler for class IN and with another one for the rest; no coroutine of its own."""

    def choose(query: Query) -> Coroutine[Any, Any, Reply]:
        return (handler if query.qclass == codes.IN else other_handler)(query)

    return choose


def _end_of_chain(last: str) -> Handler:
    async def end(query: Query) -> Reply:
        return failure(codes.SERVFAIL, f"plugin/{last}: no next plugin found", is_unhandled=True)

    return end


def _writer(parts: Sequence[Part]) -> str:
    """Return the plugin below the one that counts queries: CoreDNS shows it as the writer of a reply."""
    links = [part for part in parts if part.handling.is_link]
    below = iter(links)
    if any(part.handling.counts_queries for part in below):  # leaves `below` behind the part that counts
        return next((part.name for part in below), "")
    return ""
