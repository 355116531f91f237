"""Folding: each handler is made once, class IN and other classes share it, observers are links as in CoreDNS."""

import pytest

from clusterdns.chain import Handler, Handling, Part, Query, Reply, code_only
from clusterdns.server.folding import fold
from clusterdns.wire import codes


def observe(query: Query, reply: Reply, seconds: float) -> None:
    """Do nothing with a reply."""


class Plugins:
    """Parts whose handlers note their name and ask the next one."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.asked: list[str] = []

    def part(self, name: str, *, is_for_in_only: bool = False) -> Part:
        def wrap(following: Handler) -> Handler:
            self.made.append(name)

            async def handle(query: Query) -> Reply:
                self.asked.append(name)
                return await following(query)

            return handle

        return Part(name, handling=Handling(wrap=wrap, is_for_in_only=is_for_in_only))


def query(qclass: int) -> Query:
    made = Query()
    made.qclass = qclass
    return made


@pytest.mark.parametrize(
    ("qclass", "asked", "last"),
    [(codes.IN, ["log", "kubernetes", "header", "file"], "file"), (3, ["log", "header"], "header")],
    ids=["IN", "CH"],
)
async def test_other_classes_bypass_parts_for_class_in(qclass: int, asked: list[str], last: str) -> None:
    plugins = Plugins()
    parts = [
        plugins.part("log"),
        plugins.part("kubernetes", is_for_in_only=True),
        plugins.part("header"),
        plugins.part("file", is_for_in_only=True),
    ]
    chain = fold(parts)
    assert sorted(plugins.made) == sorted(part.name for part in parts), "each handler is made once"
    handler = chain.handler if qclass == codes.IN else chain.other_handler
    assert handler is not None
    reply = await handler(query(qclass))
    assert plugins.asked == asked
    assert (reply.rcode, reply.error) == (codes.SERVFAIL, f"plugin/{last}: no next plugin found")


async def test_a_block_of_observers_alone_ends_with_no_next_plugin() -> None:
    """CoreDNS has a handler for `loadbalance`, so the block does not refuse."""
    chain = fold(
        [Part("errors", handling=Handling(observe=observe)), Part("loadbalance", handling=Handling(observe=observe))]
    )
    assert chain.handler is not None
    reply = await chain.handler(query(codes.IN))
    assert (reply.rcode, reply.error) == (codes.SERVFAIL, "plugin/loadbalance: no next plugin found")


def test_a_block_without_handlers_has_no_chain() -> None:
    chain = fold([Part("bind"), Part("health")])
    assert (chain.handler, chain.other_handler) == (None, None)


def test_parts_for_class_in_alone_leave_no_chain_for_other_classes() -> None:
    chain = fold([Plugins().part("kubernetes", is_for_in_only=True)])
    assert chain.handler is not None
    assert chain.other_handler is None


def answering(following: Handler) -> Handler:
    async def handle(query: Query) -> Reply:
        return code_only(codes.REFUSED)

    return handle


@pytest.mark.parametrize(
    ("names", "writer"),
    [
        (["prometheus", "errors", "kubernetes"], "errors"),
        (["prometheus", "kubernetes"], "kubernetes"),
        (["prometheus"], ""),
        (["errors", "kubernetes"], ""),
    ],
)
def test_the_writer_is_the_plugin_below_the_one_that_counts(names: list[str], writer: str) -> None:
    handlings = {
        "prometheus": Handling(counts_queries=True),
        "errors": Handling(observe=observe),
        "kubernetes": Handling(wrap=answering),
    }
    assert fold([Part(name, handling=handlings[name]) for name in names]).writer == writer
