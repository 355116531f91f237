"""Answers judged by what was true when: right, late or wrong."""

import math
from ipaddress import IPv4Address

import pytest

from bench.objects import endpoint_slice, service
from bench.truth import Answer, Truth
from testing.dns_client import NOERROR, NXDOMAIN

NAME = "web.ns.svc.cluster.local."
OLD, NEW, OTHER = "10.0.0.1", "10.0.0.2", "10.0.0.3"

CREATED = (10.0, "ADDED", service("ns", "web", headless=True))
FILLED = (10.0, "ADDED", endpoint_slice("ns", "web", "web-0", [OLD], ["pod-0"]))
MOVED = (20.0, "MODIFIED", endpoint_slice("ns", "web", "web-0", [NEW], ["pod-0"]))
GONE = (30.0, "DELETED", service("ns", "web", headless=True))


@pytest.mark.parametrize(
    ("at", "addresses", "is_wrong", "late_since"),
    [
        pytest.param(15.0, [OLD], False, math.inf, id="right"),
        pytest.param(25.0, [NEW], False, math.inf, id="right after the change"),
        pytest.param(25.0, [OLD], False, 20.0, id="late"),
        pytest.param(19.9, [NEW], False, math.inf, id="ahead of our watch"),
        pytest.param(15.0, [OTHER], True, math.inf, id="never true"),
        pytest.param(25.0, [NEW, OTHER], True, math.inf, id="one of them never true"),
        pytest.param(15.0, [], True, 10.0, id="negative, and the name exists"),
        pytest.param(20.1, [], True, 10.0, id="negative after a change, and the name exists"),
        pytest.param(10.2, [], False, 10.0, id="negative soon after the creation"),
        pytest.param(31.0, [], False, math.inf, id="negative after the deletion"),
        pytest.param(29.9, [], False, math.inf, id="negative ahead of our watch"),
        pytest.param(35.0, [NEW], False, 30.0, id="late after the deletion"),
    ],
)
def test_an_answer_is_right_late_or_wrong(at: float, addresses: list[str], is_wrong: bool, late_since: float) -> None:
    truth = Truth("ns")
    for now, what, changed in (CREATED, FILLED, MOVED, GONE):
        truth.note(what, changed, now)
    code = NOERROR if addresses else NXDOMAIN
    packed = frozenset(IPv4Address(address).packed for address in addresses)
    verdict = truth.judge(Answer(NAME, at, at + 0.001, code, packed))
    assert bool(verdict.wrong) is is_wrong
    if not is_wrong:
        assert verdict.late_since == late_since
