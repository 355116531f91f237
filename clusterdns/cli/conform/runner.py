"""Asks the cases, some at a time, and gives each a verdict within limits of time.

A question over UDP is sent twice before there is no answer, as stub resolvers do. The suite ends at its time limit:
cases that have not been asked then have no answer. Whatever a server sends, no case waits longer than its time-out.
"""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Sequence

from clusterdns.cli.conform.case import TCP, Ask, Case, CaseVerdict, Outcome, Transcript, Way
from clusterdns.cli.conform.exchange import NoReplyError, ServerAddress, SuiteConnection, over_udp
from clusterdns.cli.conform.expect import sane
from clusterdns.cli.conform.packet import packet_of
from clusterdns.cli.conform.reply import MalformedReply, WireReply
from clusterdns.wire.codes import PTR, SRV

CONCURRENT = 16
UDP_TRIES = 2
SILENCE_SECONDS = 0.5  # in which a packet that must be ignored has no reply
MAX_TARGETS = 24  # of one answer that are followed


class Runner:
    """The cases against one server; `probe` is a question that every server of the zone answers."""

    def __init__(self, server: ServerAddress, probe: Ask, timeout_seconds: float) -> None:
        self._server, self._probe, self._seconds = server, probe, timeout_seconds
        self._ids = itertools.count(secrets.randbits(16))

    async def reachable(self) -> str:
        """Ask the probe over both transports; returns why neither has a reply, or nothing."""
        problems = []
        for ask in (self._probe, Ask(self._probe.name, self._probe.qtype, TCP)):
            try:
                await self._message(ask)
                return ""
            except MalformedReply:
                return ""
            except NoReplyError as error:
                problems.append(str(error))
        return "; ".join(problems)

    async def has_answer(self, ask: Ask) -> bool:
        """Ask, and return whether records come."""
        try:
            return bool((await self._message(ask)).of("answer"))
        except (NoReplyError, MalformedReply):
            return False

    async def run(
        self, cases: Sequence[Case], limit_seconds: float, on_outcome: Callable[[Outcome], None]
    ) -> list[Outcome]:
        """Ask all cases, and return the outcomes in their order."""
        found: dict[str, Outcome] = {}
        waiting = iter(cases)

        async def work() -> None:
            for case in waiting:
                found[case.id] = await self._judge(case)
                on_outcome(found[case.id])

        workers = [asyncio.ensure_future(work()) for _ in range(CONCURRENT)]
        try:
            async with asyncio.timeout(limit_seconds):
                await asyncio.gather(*workers)
        except TimeoutError:
            pass
        finally:
            for one in workers:
                one.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        late = f"not asked to the end: the suite's limit of {limit_seconds:g} s is over; set --limit"
        return [found.get(case.id) or Outcome(case, CaseVerdict.NO_ANSWER, late) for case in cases]

    async def _judge(self, case: Case) -> Outcome:
        """Ask a case, and compare what comes with what is expected."""
        if case.skipped:
            return Outcome(case, CaseVerdict.SKIPPED, case.skipped)
        started = time.monotonic()
        try:
            problem = await self._problem(case)
            verdict = CaseVerdict.FAIL if problem else CaseVerdict.PASS
        except NoReplyError as error:
            problem, verdict = str(error), CaseVerdict.NO_ANSWER
        except MalformedReply as error:
            problem, verdict = f"malformed reply: {error}", CaseVerdict.FAIL
        return Outcome(case, verdict, problem, time.monotonic() - started)

    async def _problem(self, case: Case) -> str:
        """Return what is wrong, or nothing. Raises NoReplyError and MalformedReply."""
        if case.way in (Way.SILENT, Way.SURVIVES):
            return await self._afterwards(case)
        seen = Transcript()
        for ask, reply in await self._ask_all(case):
            seen.asked.append(ask)
            seen.replies.append(reply)
            if problem := sane(case, ask, reply):
                return problem
        return next((problem for check in case.checks if (problem := check(seen))), "")

    async def _ask_all(self, case: Case) -> list[tuple[Ask, WireReply]]:
        """Send the queries in the way of the case."""
        if case.way in (Way.EACH, Way.FOLLOW):
            found = [(ask, await self._message(ask)) for ask in case.asks]
            if case.way is Way.FOLLOW:
                found += [(ask, await self._message(ask)) for ask in _following(found[0][1])]
            return found
        packets = [packet_of(ask, self._id(ask)) for ask in case.asks]
        ids = [packet[:2] for packet in packets]
        async with SuiteConnection(self._server, self._seconds) as connection:
            if case.way is Way.ONE_CONNECTION:
                received: dict[bytes, bytes] = {}
                for packet in packets:
                    await connection.send([packet])
                    received |= await connection.receive([packet[:2]])
            else:
                await connection.send(packets, is_split=case.way is Way.SPLIT, is_last=case.way is Way.HALF_CLOSED)
                received = await connection.receive(ids)
        return [(ask, WireReply(received[one], TCP)) for ask, one in zip(case.asks, ids, strict=True)]

    async def _afterwards(self, case: Case) -> str:
        """Send packets that must or may have no reply, and then a plain question."""
        for ask in case.asks:
            packet = packet_of(ask, self._id(ask))
            try:
                reply = await self._raw(packet, ask.transport, SILENCE_SECONDS)
            except NoReplyError:
                continue
            if case.way is Way.SILENT:
                return f"expected no reply; got {len(reply)} bytes"
        try:
            after = await self._message(self._probe)
        except NoReplyError as error:
            return f"expected an answer to a plain question afterwards; got {error}"
        problem = sane(case, self._probe, after) or ("" if after.of("answer") else after.summary)
        return problem and f"expected an answer to a plain question afterwards; {problem}"

    async def _message(self, ask: Ask) -> WireReply:
        """Ask, over UDP again where there is no reply. Raises NoReplyError and MalformedReply."""
        for left in range(UDP_TRIES - 1, -1, -1):
            try:
                received = await self._raw(packet_of(ask, self._id(ask)), ask.transport, self._seconds)
                return WireReply(received, ask.transport)
            except NoReplyError:
                if ask.transport == TCP or not left:
                    raise
        raise AssertionError("a question is asked at least once")

    async def _raw(self, packet: bytes, transport: str, seconds: float) -> bytes:
        if transport != TCP:
            return await over_udp(self._server, packet, seconds)
        async with SuiteConnection(self._server, seconds) as connection:
            await connection.send([packet])
            return (await connection.receive([packet[:2]]))[packet[:2]]

    def _id(self, ask: Ask) -> int:
        return next(self._ids) & 0xFFFF if ask.message_id is None else ask.message_id


def _following(reply: WireReply) -> Iterable[Ask]:
    """Make the questions for the addresses of an answer's targets."""
    targets = [one.names[0].text for one in reply.of("answer") if one.rtype in (SRV, PTR)]
    return [Ask(name, qtype) for name in dict.fromkeys(targets[:MAX_TARGETS]) for qtype in ("A", "AAAA")]
