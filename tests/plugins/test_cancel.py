"""`cancel`: the deadline of a query."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from clusterdns.chain import BlockContext, Query, Reply
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import cancel
from clusterdns.wire import codes

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]
Through = Callable[..., Coroutine[Any, Any, Reply]]


@pytest.mark.parametrize(("text", "seconds"), [("cancel", 5.001), ("cancel 500ms", 0.5), ("cancel 1s\ncancel 2s", 2.0)])
def test_parse(read_directives: ReadDirectives, context: BlockContext, text: str, seconds: float) -> None:
    assert cancel.parse(read_directives(text), context) == seconds


@pytest.mark.parametrize(("before", "after"), [(None, 102.0), (101.0, 101.0), (200.0, 102.0)])
async def test_the_earlier_deadline_holds(
    make_query: MakeQuery, through: Through, monkeypatch: pytest.MonkeyPatch, before: float | None, after: float
) -> None:
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 100.0)
    query = make_query("a.example.")
    query.deadline = before
    await through(cancel.PLUGIN, "cancel 2s", query, Reply(codes.NOERROR))
    assert query.deadline == after


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cancel 0s", "Corefile:2: '0s' is out of range"),
        ("cancel 5", "Corefile:2: '5' is not a duration"),
        ("cancel -1s", "Corefile:2: '-1s' is out of range"),
        ("cancel 1s 2s", "Corefile:2: Wrong argument count"),
    ],
)
def test_mistakes(read_directives: ReadDirectives, context: BlockContext, text: str, problem: str) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        cancel.PLUGIN.parse(read_directives(text), context)
    assert str(error.value).startswith(problem)
