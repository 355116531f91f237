"""Compiled answers that vary from use to use: rotating addresses, and the current serial."""

import random
from itertools import pairwise

import pytest

from clusterdns.answers.compiled import compile_answer
from clusterdns.telemetry.metrics import Registry
from clusterdns.telemetry.queries import QueryCounters, QueryOutcome
from clusterdns.wire.encode import EncodedMessage
from clusterdns.wire.response import Serial
from clusterdns.wire.runs import RotatingRecords

OUTCOME = QueryCounters(Registry(), "dns://:53").counter(
    QueryOutcome("cluster.local.", "udp", "1", "A", "NOERROR", False, 57, 106)
)


@pytest.mark.parametrize("shown", [1, 3, 7])
def test_addresses_rotate_by_one_and_each_comes_first(shown: int) -> None:
    random.seed(3)
    records = [bytes((48 + n,)) * 2 for n in range(7)]
    rotation = compile_answer(
        EncodedMessage(b"<", b"|", RotatingRecords(b"".join(records), 2, shown), b">", 0), None, OUTCOME, (), False
    )
    messages = [rotation.message() for _ in range(21)]
    doubled = b"".join(records * 2)
    assert all(one[2:-1] in doubled and len(one) == 2 * shown + 3 for one in messages)
    firsts = [one[2] - 48 for one in messages]
    assert all((later - earlier) % 7 == 6 for earlier, later in pairwise(firsts))
    assert all(one.startswith(b"<|") and one.endswith(b">") for one in messages)
    assert rotation.size_bytes >= len(doubled)


def test_a_compiled_negative_answer_shows_the_current_serial() -> None:
    serial = Serial()
    negative = compile_answer(
        EncodedMessage(b"<", b"", RotatingRecords(), b"soa????rest", 8), serial, OUTCOME, (), True
    )
    assert negative.message() == b"<soa\0\0\0\0rest"
    serial.set(0x01020304)
    assert negative.message() == b"<soa\1\2\3\4rest"
