"""Failures: the response code, the cause as an extended error, and the line that `errors` logs."""

import dns.edns
import pytest

from clusterdns.chain import Reply, failure
from clusterdns.chain.reply import MAX_CAUSE_BYTES
from clusterdns.wire import codes
from clusterdns.wire.edns import iter_options, pack_option


def extended(reply: Reply) -> list[dns.edns.EDEOption]:
    """The extended errors, as dnspython reads them."""
    found = [
        dns.edns.option_from_wire(dns.edns.OptionType.make(code), whole, 4, len(whole) - 4)
        for code, whole in iter_options(reply.options)
    ]
    assert all(isinstance(one, dns.edns.EDEOption) for one in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("rcode", "is_logged", "error"),
    [
        (codes.SERVFAIL, None, "why"),
        (codes.SERVFAIL, False, ""),
        (codes.REFUSED, None, ""),
        (codes.REFUSED, True, "why"),
    ],
)
def test_a_failure_says_why_and_servfail_is_logged(rcode: int, is_logged: bool | None, error: str) -> None:
    reply = failure(rcode, "why", codes.EDE_NOT_READY, is_logged=is_logged)
    (one,) = extended(reply)
    assert (one.code, one.text) == (codes.EDE_NOT_READY, "why")
    assert (reply.rcode, reply.error, reply.is_authoritative, reply.is_written) == (rcode, error, False, False)


TEXTS = {
    "a long one": ("x" * 1000, "x" * 157 + "…"),
    "the longest": ("x" * MAX_CAUSE_BYTES, "x" * MAX_CAUSE_BYTES),
    "of wide characters": ("ü" * 200, "ü" * 78 + "…"),
    "of several lines": ("one\r\ntwo\x00\x1b[31m\u2028three", "one two [31m three"),
    "bytes that are not UTF-8": (b"file \xff\xfe".decode("utf-8", "surrogateescape"), "file"),
    "a URL with a password": (
        "GET https://admin:hunter2@10.0.0.1/api: refused",
        "GET https://***@10.0.0.1/api: refused",
    ),
    "a header": ("sent Authorization: Bearer abc.def.ghi twice", "sent Authorization: Bearer *** twice"),
    "a token": ("token eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJpc3MiOiJr is old", "token *** is old"),
}


@pytest.mark.parametrize(("cause", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_cause_is_one_bounded_line_without_credentials(cause: str, expected: str) -> None:
    (one,) = extended(failure(codes.SERVFAIL, cause))
    assert one.text == expected
    assert len(expected.encode()) <= MAX_CAUSE_BYTES


def test_a_cause_is_taken_over_without_other_options() -> None:
    upstream = failure(codes.SERVFAIL, "why", codes.EDE_NETWORK_ERROR)
    upstream.options += pack_option(codes.ECS, b"\0\1\0\0")
    reply = Reply(codes.SERVFAIL)
    reply.take_cause(upstream)
    assert [(one.code, one.text) for one in extended(reply)] == [(codes.EDE_NETWORK_ERROR, "why")]
    assert reply.error == "why"
