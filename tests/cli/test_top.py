"""The command `top` where it prints one picture: as text, as JSON, and what it says where there is none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.live_server import PICTURE, LiveServer
from program import Program, run_script

from clusterdns.cli.top import command
from clusterdns.cli.top.document import live_url
from testing.fake_apiserver import unused_port

IN_CLUSTER = "in a cluster: kubectl -n kube-system port-forward POD 8053"


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with LiveServer() as found:
        yield found


SHOWN = [
    "clusterdns 0.1.0: current", "1,234/s", "NOERROR 1,200/s, NXDOMAIN 30.2/s, SERVFAIL 4.3/s", "p50        0.04 ms",
    "p99        12.3 ms", "answer table 98 %, cache -", "overload 1.5/s", "120 MiB of 170 MiB (71 %)",
    "answers 12 MiB of 64 MiB", "5 % of one core", "sha512 3c6b1e0123456789…",
    "EndpointSlice 0.4 s, Service 12 s not connected", "1 of 2 up, 192.0.2.9:53 down", "10.1.2.9 5.0/s: more queries",
    "400/s A     db.prod.svc.cluster.local.", "612/s 10.1.2.3 pod prod/web-0", "0.3/s AAAA  x.example.",
    "3.5/s A     db.prodd.svc.cluster.local.", 'namespace "prodd" does not exist; did you mean "prod"?',
    "9.9.9.9:53, zone ., transport dns, failed checks 0, 3.4/s, 12.3 ms",
    "19:20:10 prod/db: endpoint 10.1.2.3 ready, answered 0.4 ms later", "(25 % of replies)", "▁▄▇█",
]  # fmt: skip


@pytest.mark.parametrize("arguments", [[], ["--once"]])
@pytest.mark.parametrize("name", ["clusterdns", "kubectl-dns"])
def test_one_picture_has_all_that_the_server_says(
    program: Program, server: LiveServer, arguments: list[str], name: str
) -> None:
    code, out, err = program("top", "--server", server.address, *arguments, name=name)
    assert (code, err) == (0, "")
    assert [text for text in SHOWN if text not in out] == []
    assert "\033" not in out
    assert max(map(len, out.splitlines())) <= command.WIDTH_OF_A_FILE


@pytest.mark.parametrize("arguments", [["--once", "--json"], ["--json"]])
def test_json_is_the_document(program: Program, server: LiveServer, arguments: list[str]) -> None:
    server.document = {**PICTURE, "of a later version": ["\u202e\x1b[31m"]}
    code, out, err = program("top", "-s", f"http://{server.address}/", *arguments)
    assert (code, json.loads(out), err) == (0, server.document, "")
    assert out.isascii()
    assert "\x1b" not in out


def test_one_picture_waits_until_the_server_has_observed(
    program: Program, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "POLL_SECONDS", 0.01)
    server.observes_after = 3
    code, out, _ = program("top", "--once", "--json", "--server", server.address)
    assert (code, json.loads(out)["observed_seconds"], server.requests) == (0, 42.0, 4)


def test_a_server_that_never_observes_is_shown_as_it_is(
    program: Program, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "FIRST_RATES_SECONDS", 0.05)
    monkeypatch.setattr(command, "POLL_SECONDS", 0.01)
    server.document = {"at": "", "observed_seconds": 0, "rates": {}}
    code, out, err = program("top", "--once", "--server", server.address)
    assert (code, err) == (0, "")
    assert "none yet" in out


def test_no_server_has_a_hint_that_helps_in_a_cluster(program: Program) -> None:
    with unused_port() as bound:
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        code, out, err = program("top", "--server", address)
    assert (code, out) == (2, "")
    hint = f"does the server run, with 'dashboard' in its Corefile?; {IN_CLUSTER}"
    assert err == f"clusterdns top: http://{address}/live.json: connection refused; {hint}\n"


NOT_LIVE: dict[str, tuple[int, bytes, str]] = {
    "a page of another server": (200, b"<html>", "not a live document (Expected `object`, got `null`)"),
    "a list": (200, b"[]", "not a live document (Expected `object`, got `array`)"),
    "the status": (200, b'{"state": "current"}', "not a live document (Object missing required field `at`)"),
    "a text for a number": (200, b'{"at": "", "observed_seconds": "1", "rates": {}}', "at `$.observed_seconds`"),
    "deep": (200, b"[" * 100_000, "not a live document"),
    "escapes": (200, b'{"at": "", "observed_seconds": 1, "rates": {"answers": {"\\u001b[2J": "x"}}}', "`$.rates."),
    "not found": (404, b"", "404 Not Found; name the address of 'dashboard' with --server"),
    "an error": (500, b"\x1b[2J", "500 Internal Server Error"),
    "refused with a reason": (403, b'{"error": "a\\u001b[2J\\u202eb"}', "a\\x1b[2J\\u202eb"),
}  # fmt: skip


@pytest.mark.parametrize(("status", "body", "text"), NOT_LIVE.values(), ids=NOT_LIVE)
def test_what_is_no_live_document_has_exit_code_2(
    program: Program, server: LiveServer, status: int, body: bytes, text: str
) -> None:
    server.status, server.body = status, body
    code, out, err = program("top", "--server", server.address, "--once")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err
    assert err[:-1].isprintable()


def test_a_token_is_asked_for_and_sent(program: Program, server: LiveServer, tmp_path: Path) -> None:
    server.token = "s3cret"
    code, out, err = program("top", "--once", "--server", server.address)
    assert (code, out) == (2, "")
    assert "401 Unauthorized; name the file with the server's token with --token-file" in err
    (tmp_path / "token").write_text("s3cret\n")
    assert program("top", "--once", "--server", server.address, "--token-file", "token").code == 0
    (tmp_path / "token").write_text("other\n")
    code, out, err = program("top", "--once", "--server", server.address, "--token-file", "token")
    assert (code, out) == (2, "")
    assert "the token of --token-file is not the server's" in err
    assert "other" not in err


def test_a_token_does_not_follow_a_redirection(program: Program, server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    with LiveServer() as other:
        server.location = f"http://{other.address}/live.json"
        program("top", "--once", "--server", server.address, "--token-file", "token")
        assert other.requests == 1
        assert "Authorization" not in other.headers[0]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "--token-file token: no such file or directory"),
        (b"", "--token-file token: not a token"),
        (b"\n \n", "not a token"),
        (b"a\nb", "not a token"),
        (b"\xff", "not a token"),
        (b"a\x1bb", "not a token"),
        (b"a" * 5000, "not a token"),
    ],
)
def test_a_file_without_a_token_is_an_error(program: Program, tmp_path: Path, content: bytes | None, text: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    code, out, err = program("top", "--token-file", "token")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert text in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["x"], "clusterdns top: unexpected argument 'x'"),
        (["--interval", "0"], "invalid value \"0\" for flag -interval: not a number of seconds from 0.5 to 20"),
        (["--interval", "nan"], "not a number of seconds"),
        (["--interval", "1e9"], "not a number of seconds"),
        (["--intervall", "1"], "did you mean --interval?"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_has_exit_code_2(program: Program, arguments: list[str], text: str) -> None:
    code, out, err = program("top", *arguments)
    assert (code, out) == (2, "")
    assert text in err


@pytest.mark.parametrize(
    ("server_flag", "url"),
    [
        ("127.0.0.1:8053", "http://127.0.0.1:8053/live.json"),
        ("10.1.2.3", "http://10.1.2.3:8053/live.json"),
        ("fd00::1", "http://[fd00::1]:8053/live.json"),
        ("[fd00::1]:81", "http://[fd00::1]:81/live.json"),
        ("http://10.1.2.3/", "http://10.1.2.3/live.json"),
        ("https://dns.example/prefix/live.json", "https://dns.example/prefix/live.json"),
    ],
)
def test_how_a_server_may_be_named(server_flag: str, url: str) -> None:
    assert live_url(server_flag) == url


HOSTILE = "<b>\x1b[2J\x1b]0;t\x07\u202e\u200b\r\n\x9b[bold]:boom:\udc80" + "W" * 400


def hostile(value: Any) -> Any:
    """Put a hostile text into the place of each text, and of each key that is a name."""
    match value:
        case str():
            return HOSTILE
        case list():
            return [hostile(one) for one in value] * 250
        case dict():
            return {key: hostile(one) for key, one in value.items()}
    return value


def test_texts_of_a_server_are_shown_as_text_and_bounded(program: Program, server: LiveServer) -> None:
    document = hostile({**PICTURE, "history": {}, "sections": {}})
    document |= {"sections": {"upstreams": [{HOSTILE: HOSTILE, "to": HOSTILE}]}, "warnings": {HOSTILE: HOSTILE}}
    document["rates"]["answers"] = {HOSTILE: 1.0}
    server.document = document
    code, out, err = program("top", "--once", "--server", server.address)
    assert (code, err) == (0, "")
    assert all(line.isprintable() for line in out.splitlines())
    assert "<b>\\x1b[2J\\x1b]0;t\\x07\\u202e\\u200b\\r\\n\\x9b[bold]:boom:\\udc80W" in out.replace("\n", "")
    assert max(map(len, out.splitlines())) <= command.WIDTH_OF_A_FILE
    assert len(out) < 500_000


NUMBERS: list[Any] = [float("nan"), float("inf"), -float("inf"), -5, 1e300, 10**4000, 0]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: str(number)[:8])
def test_a_number_that_no_server_counts_does_no_harm(program: Program, server: LiveServer, number: Any) -> None:
    document = {
        **PICTURE,
        "observed_seconds": 1,
        "rates": {"questions": number, "answers": {"NOERROR": number}, "hit_ratio": number, "p99_seconds": number},
        "history": {"questions": [1, number], "p99_seconds": [number, None]},
        "looked_at": number,
        "process": {"cpu_share": number, "resident_bytes": 1, "limit_bytes": 1},
        "sections": {"kubernetes": [{"stale_after_seconds": number, "kinds": [{"staleness_seconds": number}]}]},
    }
    server.body = json.dumps(document).encode()
    code, _, err = program("top", "--once", "--server", server.address)
    assert (code, err) == (0, "")


def test_a_locale_without_unicode_is_no_error(server: LiveServer, tmp_path: Path) -> None:
    arguments = ["top", "--once", "--server", server.address]
    ended = run_script(arguments, tmp_path, environ={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.isascii()
    assert "questions  1,234/s     _:+#" in ended.out
