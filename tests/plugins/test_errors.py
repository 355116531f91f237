"""`errors`: one line per failed query, or one for many alike."""

import logging
from collections.abc import Callable, Sequence

import pytest

from clusterdns.chain import BlockContext, Query, Reply, Reuse, failure
from clusterdns.corefile.directive import Directive
from clusterdns.corefile.errors import CorefileError, CorefileErrors
from clusterdns.plugins import errors
from clusterdns.wire import codes
from clusterdns.wire.name import from_text

TIMEOUT = "read udp 10.0.0.1:53: i/o timeout"

MakeQuery = Callable[..., Query]
ReadDirectives = Callable[[str], Sequence[Directive]]


class Timer:
    """The event loop's timers, fired by hand."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.set.append((seconds, call))

    def fire(self) -> None:
        due, self.set = self.set, []
        for _, call in due:
            call()


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[int, str]]]:
    caplog.set_level(logging.DEBUG, "clusterdns")

    def take() -> list[tuple[int, str]]:
        taken = [(one.levelno, one.getMessage()) for one in caplog.records if one.name == "clusterdns.plugin.errors"]
        caplog.clear()
        return taken

    return take


TakeLines = Callable[[], list[tuple[int, str]]]


def test_an_error_is_one_line_and_not_reusable(make_query: MakeQuery, lines: TakeLines) -> None:
    reply = failure(codes.SERVFAIL, TIMEOUT)
    reply.reusable = True
    errors.ErrorLog(errors.ErrorsSettings(), Timer().call_later).observe(make_query("Example.org.", "AAAA"), reply, 0.1)
    assert lines() == [(logging.ERROR, f"2 example.org. AAAA: {TIMEOUT}")]
    assert not reply.reusable


def test_the_line_shows_the_rewritten_question(make_query: MakeQuery, lines: TakeLines) -> None:
    query = make_query("example.org.")
    query.rewritten_as = query.asking(from_text("example.net."), codes.AAAA, codes.IN)
    query.rewritten_as.rewritten_as = query.asking(from_text("example.com."), codes.TXT, codes.IN)
    errors.ErrorLog(errors.ErrorsSettings(), Timer().call_later).observe(query, failure(codes.SERVFAIL, TIMEOUT), 0.1)
    assert lines() == [(logging.ERROR, f"2 example.com. TXT: {TIMEOUT}")]


def test_a_reply_without_error_text_is_not_logged(make_query: MakeQuery, lines: TakeLines) -> None:
    reply = Reply(codes.SERVFAIL, reusable=True)
    errors.ErrorLog(errors.ErrorsSettings(), Timer().call_later).observe(make_query("example.org."), reply, 0.1)
    assert lines() == []
    assert reply.reusable


@pytest.mark.parametrize(
    ("text", "count", "first", "summary"),
    [
        ("consolidate 30s timeout$", 3, [], [(logging.ERROR, "3 errors like 'timeout$' occurred in last 30s")]),
        ("consolidate 1m .* warning", 1, [], [(logging.WARNING, "1 errors like '.*' occurred in last 1m0s")]),
        ("consolidate 5m .* info", 2, [], [(logging.INFO, "2 errors like '.*' occurred in last 5m0s")]),
        ("consolidate 30s .* show_first", 1, [(logging.ERROR, f"2 a. A: {TIMEOUT}")], []),
        ("consolidate 30s .* debug show_first", 2, [(logging.DEBUG, f"2 a. A: {TIMEOUT}")],
         [(logging.DEBUG, "2 errors like '.*' occurred in last 30s")]),
        ("consolidate 30s other\nconsolidate 9s udp", 2, [],
         [(logging.ERROR, "2 errors like 'udp' occurred in last 9s")]),
        ("consolidate 30s udp\nconsolidate 9s .*", 1, [],
         [(logging.ERROR, "1 errors like 'udp' occurred in last 30s")]),
        ("stacktrace\nconsolidate 30s other", 1, [(logging.ERROR, f"2 a. A: {TIMEOUT}")], []),
    ],
)  # fmt: skip
def test_errors_are_counted_and_logged_once_per_period(
    make_query: MakeQuery, lines: TakeLines, timer: Timer, read_directives: ReadDirectives, context: BlockContext,
    text: str, count: int, first: list[tuple[int, str]], summary: list[tuple[int, str]],
) -> None:  # fmt: skip
    settings = errors.parse(read_directives(f"errors {{\n{text}\n}}"), context)
    log = errors.ErrorLog(settings, timer.call_later)
    for _ in range(2):  # the second period is like the first
        for _ in range(count):
            log.observe(make_query("a."), failure(codes.SERVFAIL, TIMEOUT), 0.1)
        assert lines() == first
        timer.fire()
        assert lines() == summary


def test_a_period_begins_with_its_first_error(
    make_query: MakeQuery, timer: Timer, read_directives: ReadDirectives, context: BlockContext
) -> None:
    settings = errors.parse(read_directives("errors {\nconsolidate 30s .*\n}"), context)
    log = errors.ErrorLog(settings, timer.call_later)
    for _ in range(3):
        log.observe(make_query("a."), failure(codes.SERVFAIL, TIMEOUT), 0.1)
    assert [seconds for seconds, _ in timer.set] == [30]


async def test_stopping_logs_the_counts(
    make_query: MakeQuery, lines: TakeLines, read_directives: ReadDirectives, context: BlockContext
) -> None:
    part = errors.build(errors.parse(read_directives("errors {\nconsolidate 30s .*\n}"), context), context)
    assert part.handling.observe is not None
    assert part.life.stop is not None
    assert part.handling.reuse is Reuse.PER_REPLY
    part.handling.observe(make_query("a."), failure(codes.SERVFAIL, TIMEOUT), 0.1)
    await part.life.stop()
    assert lines() == [(logging.ERROR, "1 errors like '.*' occurred in last 30s")]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("errors stderr", "Corefile:2", "cannot log to 'stderr'"),
        ("errors stdout more", "Corefile:2", "Wrong argument count"),
        ("errors {\nconsolidate 30s\n}", "Corefile:3", "Wrong argument count"),
        ("errors {\nconsolidate 30s (\n}", "Corefile:3", "pattern '(' is not a regular expression"),
        ("errors {\nconsolidate soon .*\n}", "Corefile:3", "'soon' is not a duration"),
        ("errors {\nconsolidate 30s .* loud\n}", "Corefile:3", "'loud' is not one of"),
        ("errors {\nconsolidate 30s .* show_first error\n}", "Corefile:3", "unexpected 'error' after 'show_first'"),
        ("errors {\nconsolidate 30s .* info error\n}", "Corefile:3", "unexpected 'error' after 'info'"),
        ("errors {\nconsolidate 30s (?=a)\n}", "Corefile:3", "pattern '(?=a)' is not a regular expression"),
        ("errors {\nconsolidate 30s " + "a" * 10_001 + "\n}", "Corefile:3", "pattern 'aaa"),
        ("errors {\nloud\n}", "Corefile:3", "unknown property 'loud'"),
        ("errors {\nstacktrace on\n}", "Corefile:3", "Wrong argument count"),
    ],
)
def test_errors_name_their_line(
    read_directives: ReadDirectives, context: BlockContext, text: str, place: str, problem: str
) -> None:
    with pytest.raises((CorefileError, CorefileErrors)) as error:
        errors.parse(read_directives(text), context)
    assert str(error.value).startswith(f"{place}: {problem}")
