"""`debug`: debug lines for as long as any block wants them."""

import logging
from collections.abc import Callable, Iterator, Sequence

import pytest

from clusterdns.chain import BlockContext, Part
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import debug

ReadDirectives = Callable[[str], Sequence[Directive]]
OURS = logging.getLogger("clusterdns")


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    before = OURS.level
    OURS.setLevel(logging.INFO)
    yield
    OURS.setLevel(before)


async def start(part: Part) -> None:
    assert part.life.start is not None
    await part.life.start()


async def stop(part: Part) -> None:
    assert part.life.stop is not None
    await part.life.stop()


async def test_one_block_is_enough(read_directives: ReadDirectives, context: BlockContext) -> None:
    debug.parse(read_directives("debug\ndebug"), context)
    one, other, unstarted = (debug.build(None, context) for _ in range(3))
    levels = []
    for step in (start(one), stop(unstarted), start(other), stop(one), stop(other)):
        await step
        levels.append(OURS.level)
    assert levels == [logging.DEBUG] * 4 + [logging.INFO]


@pytest.mark.parametrize(
    ("text", "problem"),
    [("debug x", "Corefile:2: Wrong argument count"), ("debug {\n x\n}", "Corefile:3: unknown property 'x'")],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        debug.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
